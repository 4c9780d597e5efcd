/** @file The waits between attempts. */

const FIRST_SECONDS = 0.5;
const LONGEST_SECONDS = 20;

/**
 * Return a random wait with full jitter.
 *
 * Source: "Exponential Backoff And Jitter", AWS Architecture Blog.
 *
 * @param {number} attempt The number of attempts that failed before, from 0.
 * @param {number | null} [retryAfterSeconds] The wait that the service demands.
 * @returns {number} Seconds.
 */
export const backoffSeconds = (attempt, retryAfterSeconds) =>
  (retryAfterSeconds ?? 0) +
  Math.random() * Math.min(LONGEST_SECONDS, FIRST_SECONDS * 2 ** attempt);
