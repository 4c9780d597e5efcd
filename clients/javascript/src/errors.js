/** @file The error that every method of the clients rejects with. */

/** @import { Message } from "./connection.js" */
/** @import { ErrorCode } from "./messages.js" */
/**
 * @typedef {ErrorCode | "CONNECTION_FAILED" | "NO_ANSWER" | "TOKEN_FAILED" | "QUEUE_FULL" | "CLOSED"
 *   | "NO_SESSION" | "REPLACED" | "SIGNED_OUT" | "SIGN_IN_FAILED"} SessionErrorCode
 */

/** The longest wait that the service can demand. */
export const LONGEST_SECONDS = 3600;

/** A refusal by the service, or a failure on the way to it. */
export class SessionError extends Error {
  name = "SessionError";

  /**
   * @param {SessionErrorCode} code
   * @param {string} message An explanation for developers.
   * @param {object} [options]
   * @param {boolean} [options.temporary] Whether the same call can succeed later.
   * @param {number | null} [options.retryAfterSeconds] When to call again.
   * @param {Record<string, any>} [options.details] The `details` of the service.
   */
  constructor(code, message, { temporary = false, retryAfterSeconds = null, details = {} } = {}) {
    super(message);
    this.code = code;
    this.temporary = temporary;
    this.retryAfterSeconds = retryAfterSeconds;
    this.details = details;
  }
}

/** An error that the service has sent. Its code can be any text, even one of the client's own. */
export class Refusal extends SessionError {
  /** @param {Message} message An `error` of the service. */
  constructor({ code, message, temporary, retryAfter, details }) {
    super(code || "INTERNAL_ERROR", message || "The service gave no reason", {
      temporary: temporary === true,
      retryAfterSeconds: retryAfter === undefined ? null : Math.min(retryAfter, LONGEST_SECONDS),
      details,
    });
  }
}

/**
 * Return the code of an error that the client itself has made.
 *
 * @param {SessionError} error
 * @returns {string | null} Null for an error of the service, whatever its code is.
 */
export const ownCode = (error) => (error instanceof Refusal ? null : error.code);

/**
 * @param {SessionErrorCode} code
 * @param {string} message
 * @returns {SessionError}
 */
export const temporaryError = (code, message) =>
  new SessionError(code, message, { temporary: true });

/**
 * @param {SessionError} error
 * @returns {string} The reason that a client shows while it reconnects.
 */
export const reasonOf = (error) => REASONS[ownCode(error) ?? ""] ?? error.code;

export const CONNECTION_FAILED = "CONNECTION_FAILED";
export const NO_ANSWER = "NO_ANSWER";
export const TOKEN_FAILED = "TOKEN_FAILED";
export const SESSION_NOT_FOUND = "SESSION_NOT_FOUND";

/** @type {Record<string, string>} */
const REASONS = { [NO_ANSWER]: "noAnswer", [TOKEN_FAILED]: "tokenFailed" };
