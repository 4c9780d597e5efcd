/** @file When the next attempt to connect is due. */

import { backoffSeconds } from "./backoff.js";

export class Schedule {
  /** Whether an attempt is to come. */
  isWaiting = false;
  /** @type {number | null} Null while a hidden page waits. */
  #dueAt = null;
  #notBefore = 0;
  #failures = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  #canDial;
  #dial;
  #changed;

  /**
   * @param {() => boolean} canDial
   * @param {() => void} dial
   * @param {() => void} changed Called when there is a new wait.
   */
  constructor(canDial, dial, changed) {
    this.#canDial = canDial;
    this.#dial = dial;
    this.#changed = changed;
  }

  /** @returns {number | null} 0 if no attempt is to come. Null while a hidden page waits. */
  get secondsLeft() {
    if (!this.isWaiting) return 0;
    if (this.#dueAt === null) return null;
    return secondsUntil(this.#dueAt);
  }

  /**
   * Count a failure.
   *
   * @param {number | null} [retryAfterSeconds] The wait that the service demands.
   * @returns {number} The seconds to wait.
   */
  backOff(retryAfterSeconds = null) {
    this.#notBefore = performance.now() + (retryAfterSeconds ?? 0) * 1000;
    return backoffSeconds(this.#failures++, retryAfterSeconds);
  }

  /** Forget the failures. */
  reset() {
    this.#failures = 0;
  }

  /**
   * Dial after a wait. On a hidden page, the wait ends with `hurry()`.
   *
   * @param {number} seconds
   */
  wait(seconds) {
    this.cancel();
    const canDial = this.#canDial();
    if (canDial && seconds === 0) {
      this.#dial();
      return;
    }
    this.isWaiting = true;
    this.#dueAt = canDial ? performance.now() + seconds * 1000 : null;
    if (canDial) this.#timer = setTimeout(() => this.wait(0), seconds * 1000);
    this.#changed();
  }

  /** Let a page that is hidden now wait without end. */
  suspend() {
    if (this.isWaiting && !this.#canDial()) this.wait(0);
  }

  /** End the wait, unless the service demands it. */
  hurry() {
    const seconds = secondsUntil(this.#notBefore);
    if (this.isWaiting && (seconds === 0 || this.#dueAt === null)) this.wait(seconds);
  }

  /** Dial if the page was hidden and silent, and isn't any more. */
  wake() {
    if (this.secondsLeft === null) this.hurry();
  }

  cancel() {
    this.isWaiting = false;
    clearTimeout(this.#timer);
  }
}

/** @param {number} at */
const secondsUntil = (at) => Math.max(0, at - performance.now()) / 1000;
