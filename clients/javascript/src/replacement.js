/** @file Noticing that another client has the seat or the session. */

/** So many losses of the membership within this time mean a replacement. */
const LOSSES = 3;
const WITHIN_MS = 600_000;

export class Replacement {
  /** @type {number[]} The times of the latest losses. */
  #losses = [];

  /**
   * Count a loss of the membership.
   *
   * @returns {boolean} Whether another client has taken this one's place.
   */
  count() {
    const now = performance.now();
    this.#losses = [...this.#losses.filter((lostAt) => now - lostAt < WITHIN_MS), now];
    return this.#losses.length === LOSSES;
  }

  /** Forget the losses. */
  reset() {
    this.#losses = [];
  }
}
