/** @file A clock that only the test moves. It replaces timers, `Date.now` and `performance.now`. */

const START = 1_795_708_800_000;

export class Clock {
  /** Milliseconds that timers have seen. */
  #elapsed = 0;
  /** Milliseconds that the device has slept. */
  #slept = 0;
  #timers = new Map();
  #count = 0;
  #originals = { setTimeout, clearTimeout, dateNow: Date.now, now: performance.now };

  install() {
    globalThis.setTimeout = (callback, delay = 0) => {
      this.#timers.set(++this.#count, { at: this.#elapsed + Math.max(0, delay), callback });
      return this.#count;
    };
    globalThis.clearTimeout = (id) => void this.#timers.delete(id);
    Date.now = () => START + this.#elapsed + this.#slept;
    performance.now = () => this.#elapsed;
  }

  restore() {
    const { dateNow, now, ...timers } = this.#originals;
    Object.assign(globalThis, timers);
    Date.now = dateNow;
    performance.now = now;
  }

  get timers() {
    return this.#timers.size;
  }

  /** Forget all timers, as a browser does with those of a page that is gone. */
  clear() {
    this.#timers.clear();
  }

  sleep(seconds) {
    this.#slept += seconds * 1000;
  }

  async elapse(seconds) {
    const end = this.#elapsed + seconds * 1000;
    for (let next; (next = this.#nextUntil(end)); await settle()) {
      const [id, { at, callback }] = next;
      this.#elapsed = at;
      this.#timers.delete(id);
      callback();
    }
    this.#elapsed = end;
  }

  #nextUntil(end) {
    const due = [...this.#timers].filter(([, { at }]) => at <= end);
    return due.sort(([, one], [, other]) => one.at - other.at)[0];
  }
}

/** Let all promises settle that can. */
export const settle = () => new Promise(setImmediate);
