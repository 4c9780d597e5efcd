/** @file The session's status, and the watch over an interruption whose end gets lost. */

/** @import { Message } from "./connection.js" */
/** @import { SessionJoined } from "./messages.js" */

/** The service's default, for interruptions whose notice the client hasn't seen. */
const GRACE_SECONDS = 60;

/** After the grace period, the next notice has this time to arrive. */
const OVERDUE_SECONDS = 10;

/** @type {Record<string, string>} */
const STATUSES = {
  sessionPaused: "paused",
  sessionResumed: "active",
  sessionInterrupted: "interrupted",
};

/** A timestamp that is further ahead of the wall clock would outdate all that follow. */
const LEAD_MS = 3_600_000;

/**
 * @param {Message} message
 * @returns {number | null} Null if it can't be right.
 */
export const timestampOf = ({ timestamp }) =>
  timestamp <= Date.now() + LEAD_MS ? timestamp : null;

export class Status {
  /** @type {SessionJoined["status"]} */
  value = "active";
  #timestamp = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #interruption;
  #known;
  #overdue;

  /**
   * @param {Record<string, any>} known The statuses that count, as keys.
   * @param {() => void} overdue Called when an interruption should be over.
   */
  constructor(known, overdue) {
    this.#known = known;
    this.#overdue = overdue;
  }

  /**
   * Apply the status of a message, unless a later one is known.
   *
   * @param {Message} message
   * @returns {boolean} Whether the message has a status that counts.
   */
  apply(message) {
    const { type, status = STATUSES[type], graceSeconds } = message;
    const timestamp = timestampOf(message) ?? this.#timestamp;
    if (!Object.hasOwn(this.#known, status) || timestamp < this.#timestamp) return false;
    this.value = status;
    this.#timestamp = timestamp;
    this.stop();
    if (status === "interrupted") {
      const seconds = (graceSeconds ?? GRACE_SECONDS) + OVERDUE_SECONDS;
      this.#interruption = setTimeout(this.#overdue, seconds * 1000);
    }
    return true;
  }

  /** Begin anew, for another session. */
  reset() {
    this.value = "active";
    this.expectAny();
  }

  /** Apply the next status, whatever its timestamp. */
  expectAny() {
    this.#timestamp = 0;
  }

  /** Stop the watch. */
  stop() {
    clearTimeout(this.#interruption);
  }
}
