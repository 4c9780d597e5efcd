/** @file The commands of the application: sent one at a time, in order, until they are answered. */

import { backoffSeconds } from "./backoff.js";
import {
  CONNECTION_FAILED,
  NO_ANSWER,
  SESSION_NOT_FOUND,
  ownCode,
  temporaryError,
} from "./errors.js";
import { Queue } from "./queue.js";

/** @import { Connection, Message } from "./connection.js" */
/** @import { SessionError } from "./errors.js" */
/** @import { Command } from "./messages.js" */
/**
 * @typedef {object} Task
 * @property {Command} command
 * @property {(outcome: Message) => void} resolve
 * @property {(error: SessionError) => void} reject
 * @property {number} failures
 * @property {boolean} isBusy Whether it waits for its answer, or for its next attempt.
 */

const WAITING_COMMANDS = 100;
const ATTEMPTS = 3;

export class Commands {
  /** @type {Queue<Task>} What waits to be sent. */
  queue = new Queue(WAITING_COMMANDS);
  /** @type {Task | undefined} */
  #current;
  /** @type {Connection | null} */
  #connection = null;
  #unanswered;
  #notInSession;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;

  /**
   * @param {(connection: Connection) => void} unanswered
   *   Called when a connection doesn't answer, and has to be replaced.
   * @param {(connection: Connection) => void} notInSession
   *   Called when a connection isn't in the session any more.
   */
  constructor(unanswered, notInSession) {
    this.#unanswered = unanswered;
    this.#notInSession = notInSession;
  }

  /**
   * Send a command as soon as its turn comes.
   *
   * @param {Command} command
   * @returns {Promise<Message>} Its outcome.
   */
  ask(command) {
    return new Promise((resolve, reject) => {
      const task = { command, resolve, reject, failures: 0, isBusy: false };
      if (!this.queue.offer(task)) reject(temporaryError("QUEUE_FULL", "Too many commands wait"));
      this.#next();
    });
  }

  /** Whether no command waits or is in flight. */
  get isEmpty() {
    return !this.#current && !this.queue.length;
  }

  /**
   * Send on this connection from now on.
   *
   * @param {Connection} connection
   */
  use(connection) {
    this.#connection = connection;
    this.#next();
  }

  /** Send nothing for now. A command that is in flight can still be answered. */
  hold() {
    this.#connection = null;
  }

  /**
   * Reject all commands.
   *
   * @param {SessionError} error
   */
  reject(error) {
    clearTimeout(this.#timer);
    this.hold();
    this.#current?.reject(error);
    this.#current = undefined;
    this.queue.drain().forEach(({ reject }) => reject(error));
  }

  async #next() {
    const connection = this.#connection;
    if (!connection || this.#current?.isBusy) return;
    const task = (this.#current ??= this.queue.shift());
    if (!task) return;
    task.isBusy = true;
    try {
      task.resolve(await connection.request(task.command));
      this.#done(task);
    } catch (error) {
      const failure = /** @type {SessionError} */ (error);
      if (this.#current === task) this.#failed(task, failure, connection);
    }
  }

  /** @param {Task} task */
  #done(task) {
    if (this.#current === task) this.#current = undefined;
    this.#next();
  }

  /**
   * @param {Task} task
   * @param {SessionError} error
   * @param {Connection} connection
   */
  #failed(task, error, connection) {
    const code = ownCode(error);
    if (code === NO_ANSWER) this.#unanswered(connection);
    if (error.code === SESSION_NOT_FOUND) this.#notInSession(connection);
    if (code === CONNECTION_FAILED || error.code === SESSION_NOT_FOUND) return this.#repeat(task);
    task.failures += 1;
    if (!error.temporary || task.failures === ATTEMPTS) {
      task.reject(error);
      this.#done(task);
    } else if (code === NO_ANSWER) {
      this.#repeat(task);
    } else {
      const seconds = backoffSeconds(task.failures - 1, error.retryAfterSeconds);
      this.#timer = setTimeout(() => this.#repeat(task), seconds * 1000);
    }
  }

  /** @param {Task} task */
  #repeat(task) {
    task.isBusy = false;
    this.#next();
  }
}
