/** @file The state that the application sees. */

/**
 * @typedef {"idle" | "connecting" | "joined" | "live" | "paused" | "interrupted" | "refreshing"
 *   | "reconnecting" | "ended" | "failed"} State
 */
/**
 * @typedef {object} StateEvent
 * @property {State} state
 * @property {string | null} reason
 * @property {number | null} retryInSeconds The time until the next attempt, while `reconnecting`.
 */

export class ShownState {
  /** @type {StateEvent} */
  #latest = { state: "idle", reason: null, retryInSeconds: null };
  #changed;

  /** @param {(event: StateEvent) => void} changed Called for each change. */
  constructor(changed) {
    this.#changed = changed;
  }

  get state() {
    return this.#latest.state;
  }

  get reason() {
    return this.#latest.reason;
  }

  /**
   * Show a state, unless it is shown already.
   *
   * @param {State} state
   * @param {string | null} [reason]
   * @param {number | null} [retryInSeconds]
   */
  show(state, reason = null, retryInSeconds = null) {
    const { state: shown, reason: why, retryInSeconds: wait } = this.#latest;
    if (state === shown && reason === why && retryInSeconds === wait) return;
    this.#latest = { state, reason, retryInSeconds };
    this.#changed({ ...this.#latest });
  }
}
