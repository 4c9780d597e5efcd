/** @file The calls of the application that wait for the next attempt to enter a session. */

/** @import { SessionError } from "./errors.js" */

export class PendingCalls {
  /** @type {{ resolve: () => void, reject: (error: SessionError) => void }[]} */
  #calls = [];

  /** @returns {Promise<void>} The settlement of another call. */
  add() {
    return new Promise((resolve, reject) => this.#calls.push({ resolve, reject }));
  }

  /**
   * Settle all calls.
   *
   * @param {SessionError} [error] Rejects them.
   */
  settle(error) {
    for (const { resolve, reject } of this.#calls.splice(0)) error ? reject(error) : resolve();
  }
}
