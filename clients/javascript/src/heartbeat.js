/** @file The heartbeats of a connection, which show both sides that the other one is there. */

/** @import { Connection, Message } from "./connection.js" */

const ACKNOWLEDGED_SECONDS = 10;

/** A browser delays the timers of hidden pages by up to 60 seconds. A longer delay is a sleep. */
const LATEST_MS = 75_000;

export class Heartbeat {
  #connection;
  #intervalMs = 0;
  #dead;
  #sentAt = Date.now();
  #isMissed = false;
  #dueAt = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;

  /**
   * @param {Connection} connection
   * @param {Message} outcome The outcome that has the interval.
   * @param {(reason: "noAnswer" | "slept") => void} dead Called once, when the connection is dead.
   */
  constructor(connection, outcome, dead) {
    this.#connection = connection;
    this.#dead = dead;
    this.#acknowledged({ heartbeatSeconds: 30, ...outcome });
  }

  /**
   * Find out now whether the connection is alive.
   *
   * @param {number} [seconds] The time for the answer.
   */
  check(seconds = ACKNOWLEDGED_SECONDS) {
    this.#unlessAsleep(() => this.#send(seconds));
  }

  stop() {
    clearTimeout(this.#timer);
  }

  /** @param {number} seconds */
  #send(seconds) {
    this.#sentAt = Date.now();
    this.#wait(this.#sentAt + seconds * 1000, () => this.#missed(seconds));
    this.#connection.heartbeat((message) => this.#acknowledged(message));
  }

  /** @param {Message} message */
  #acknowledged({ heartbeatSeconds }) {
    if (heartbeatSeconds > 0) this.#intervalMs = heartbeatSeconds * 1000;
    this.#isMissed = false;
    this.#wait(this.#sentAt + this.#intervalMs, () => this.check());
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
    this.#timer = setTimeout(() => this.#unlessAsleep(due), at - Date.now());
  }

  /** @param {() => void} due */
  #unlessAsleep(due) {
    if (Date.now() > this.#dueAt + LATEST_MS) this.#dead("slept");
    else due();
  }
}
