/** @file The heartbeats of a connection, which show both sides that the other one is there. */

/** @import { Answered, Message } from "./connection.js" */

const ACKNOWLEDGED_SECONDS = 10;

/** The least time between two checks. The service refuses too many heartbeats. */
const CHECK_MS = 5000;

/** A browser delays the timers of hidden pages by up to 60 seconds. A longer delay is a sleep. */
const LATEST_MS = 75_000;

export class Heartbeat {
  #beat;
  #intervalMs = 0;
  #dead;
  #sentAt = performance.now();
  /** Whether the latest heartbeat isn't acknowledged yet. */
  #isPending = false;
  #isMissed = false;
  #dueAt = 0;
  #checkedAt = -Infinity;
  /** By the wall clock, which goes on while the device sleeps. */
  #lateAt = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;

  /**
   * @param {(acknowledged: Answered) => void} beat Sends a heartbeat.
   * @param {Message} outcome The outcome that has the interval.
   * @param {(reason: "noAnswer" | "slept") => void} dead Called once, when the connection is dead.
   */
  constructor(beat, outcome, dead) {
    this.#beat = beat;
    this.#dead = dead;
    this.#acknowledged({ heartbeatSeconds: 30, ...outcome });
  }

  /**
   * Find out now whether the connection is alive, unless that is in progress or has just been done.
   *
   * @param {number} [seconds] The time for the answer.
   */
  check(seconds = ACKNOWLEDGED_SECONDS) {
    this.#unlessAsleep(() => {
      const now = performance.now();
      const nextAt = this.#checkedAt + CHECK_MS;
      if (this.#isPending) {
        this.#expect(Math.min(this.#dueAt, now + seconds * 1000), seconds);
      } else if (now < nextAt) {
        this.#wait(nextAt, () => this.check(seconds));
      } else {
        this.#checkedAt = now;
        this.#send(seconds);
      }
    });
  }

  stop() {
    clearTimeout(this.#timer);
  }

  /** @param {number} seconds */
  #send(seconds) {
    this.#sentAt = performance.now();
    this.#isPending = true;
    this.#expect(this.#sentAt + seconds * 1000, seconds);
    this.#beat((message) => this.#acknowledged(message));
  }

  /**
   * @param {number} at
   * @param {number} seconds The time for the answer to the next heartbeat.
   */
  #expect(at, seconds) {
    this.#wait(at, () => this.#missed(seconds));
  }

  /** @param {Message} message */
  #acknowledged({ heartbeatSeconds }) {
    if (heartbeatSeconds) this.#intervalMs = heartbeatSeconds * 1000;
    this.#isPending = this.#isMissed = false;
    this.#wait(this.#sentAt + this.#intervalMs, () => this.#send(ACKNOWLEDGED_SECONDS));
  }

  /** @param {number} seconds */
  #missed(seconds) {
    if (this.#isMissed) return this.#dead("noAnswer");
    this.#isMissed = true;
    this.#send(seconds);
  }

  /**
   * @param {number} at
   * @param {() => void} due
   */
  #wait(at, due) {
    clearTimeout(this.#timer);
    this.#dueAt = at;
    const delay = at - performance.now();
    this.#lateAt = Date.now() + delay + LATEST_MS;
    this.#timer = setTimeout(() => this.#unlessAsleep(due), delay);
  }

  /** @param {() => void} due */
  #unlessAsleep(due) {
    if (Date.now() > this.#lateAt) this.#dead("slept");
    else due();
  }
}
