/** @file One attempt to enter the session: a new connection, and the command that enters. */

import { CONNECTION_FAILED, SessionError } from "./errors.js";

/** @import { Connection, Message } from "./connection.js" */
/** @import { Participant } from "./participant.js" */

export class Attempt {
  #participant;
  #connect;
  #cancelled = new AbortController();
  /** @type {Connection | null} */
  #connection = null;

  /** Whether it has a connection that isn't open yet. */
  get isOpening() {
    return this.#connection?.isOpen === false;
  }

  /**
   * @param {Participant} participant
   * @param {(credentials: Record<string, string>) => Connection} connect
   */
  constructor(participant, connect) {
    this.#participant = participant;
    this.#connect = connect;
  }

  /**
   * Make the attempt. Call it once.
   *
   * @param {(connection: Connection, outcome: Message) => void} entered
   *   Called before the connection's next message is handled.
   * @returns {Promise<void>} Rejects with a `SessionError`.
   */
  async enter(entered) {
    const open = (/** @type {Record<string, string>} */ credentials) => this.#open(credentials);
    const connection = await this.#participant.connect(open, this.#cancelled.signal);
    const command = this.#participant.enterCommand();
    await connection.request(command, (outcome) => entered(connection, outcome));
  }

  /**
   * Stop the attempt. Ignore the result of `enter()` afterwards.
   *
   * @param {number} code
   */
  cancel(code) {
    this.#cancelled.abort();
    this.#connection?.close(code);
  }

  /** @param {Record<string, string>} credentials */
  async #open(credentials) {
    this.#cancelled.signal.throwIfAborted();
    try {
      this.#connection = this.#connect(credentials);
    } catch {
      // The browser's message can contain the token.
      throw new SessionError(CONNECTION_FAILED, "This page can't open this URL");
    }
    await this.#connection.opened();
    return this.#connection;
  }
}
