/** @file One WebSocket: opening it, sending commands, and matching the answers. */

import { CONNECTION_FAILED, NO_ANSWER, Refusal, SessionError, temporaryError } from "./errors.js";
import { Heartbeat } from "./heartbeat.js";
import { parse } from "./parse.js";

/** @import { Command, GatewayError, Message as KnownMessage } from "./messages.js" */
/** @import { Checks } from "./parse.js" */
/**
 * @template Union
 * @typedef {Union extends any ? keyof Union : never} Keys
 */
/**
 * A JSON object that has arrived, as `parse` reads it.
 *
 * @typedef {{ [name in Keys<KnownMessage | GatewayError>]?: any }} Message
 */
/**
 * @typedef {object} Socket What the clients use of a WebSocket.
 * @property {(text: string) => void} send
 * @property {(code?: number) => void} close
 * @property {((event: any) => void) | null} onopen
 * @property {((event: any) => void) | null} onmessage
 * @property {((event: any) => void) | null} onclose
 * @property {((event: any) => void) | null} onerror
 */
/** @typedef {new (url: string) => Socket} WebSocketClass */
/** @typedef {(message: Message) => void} Answered */
/**
 * @typedef {{ [action in Command["action"]]?: KnownMessage["type"] }} Outcomes
 *   The type of each command's outcome.
 */
/**
 * @typedef {object} ConnectionHandlers
 * @property {Outcomes} outcomes
 * @property {Checks} checks
 * @property {(message: Message) => void} received
 *   A notice, an outcome or an acknowledgement, after its command is settled.
 * @property {() => void} lost The service or the network closed the connection.
 */

const OPEN_SECONDS = 10;
const ANSWER_SECONDS = 10;

export class Connection {
  isOpen = false;
  #socket;
  #handlers;
  #commands = 0;
  /** @type {Map<string, { outcome: string | undefined, answered: Answered }>} By the ID of the request. */
  #unanswered = new Map();
  #requestId = "";
  /** @type {Heartbeat | null} */
  #heartbeat = null;
  /** @type {{ resolve: (value: any) => void, reject: (error: Error) => void } | null} */
  #waiting = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;

  /**
   * @param {WebSocketClass} WebSocket
   * @param {string} url
   * @param {ConnectionHandlers} handlers
   */
  constructor(WebSocket, url, handlers) {
    this.#handlers = handlers;
    this.#socket = new WebSocket(url);
    this.#socket.onopen = () => {
      this.isOpen = true;
      this.#settle();
    };
    this.#socket.onmessage = ({ data }) => this.#receive(data);
    // Node 20 reports a refused handshake as an error that no close follows.
    this.#socket.onerror = this.#socket.onclose = () => {
      this.close();
      handlers.lost();
    };
  }

  /**
   * Wait until the connection is open. Call it once, before the first request.
   *
   * @returns {Promise<void>} Rejects with `CONNECTION_FAILED`.
   */
  opened() {
    return this.#wait(OPEN_SECONDS, connectionFailed({ timedOut: true }));
  }

  /**
   * Send a command, and wait for its outcome. Only one request can wait at a time.
   *
   * @param {Command} command
   * @param {Answered} [succeeded] Called with the outcome, before the next message is handled.
   * @returns {Promise<Message>} Rejects with the service's refusal, `NO_ANSWER` or
   *   `CONNECTION_FAILED`. After `NO_ANSWER` the connection is still open.
   */
  request(command, succeeded) {
    if (!this.isOpen) return Promise.reject(connectionFailed());
    this.#requestId = this.send(command, (message) => {
      const isRefused = message.type === "error";
      this.#settle(isRefused ? new Refusal(message) : null, message);
      if (!isRefused) succeeded?.(message);
    });
    return this.#wait(ANSWER_SECONDS, temporaryError(NO_ANSWER, "The service doesn't answer"));
  }

  /**
   * Send heartbeats from now on. Any answer acknowledges them, even an error.
   *
   * @param {Message} outcome The outcome that has the interval.
   * @param {(reason: "noAnswer" | "slept") => void} dead Called once, when the connection is dead.
   */
  startHeartbeats(outcome, dead) {
    /** @param {Answered} answered */
    const beat = (answered) => void this.send({ action: "heartbeat" }, answered);
    this.#heartbeat = new Heartbeat(beat, outcome, dead);
  }

  /**
   * Find out now whether the connection in the session is alive.
   *
   * @param {number} [seconds] The time for the answer.
   */
  check(seconds) {
    this.#heartbeat?.check(seconds);
  }

  /**
   * Close the connection. No handler is called afterwards. You can call it again.
   *
   * @param {number} [code] 1000, unless the service should treat it as a drop.
   */
  close(code = 1000) {
    const socket = this.#socket;
    this.isOpen = false;
    this.#heartbeat?.stop();
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.onerror = () => {}; // The package ws throws errors that have no handler.
    socket.close(code);
    this.#settle(connectionFailed());
  }

  /**
   * Send a command that isn't a request. Several of them can wait for their answers.
   *
   * @param {Command} command
   * @param {Answered} answered Called with the outcome or the error.
   * @returns {string} The ID of the command.
   */
  send(command, answered) {
    const requestId = String(++this.#commands);
    this.#unanswered.set(requestId, { outcome: this.#handlers.outcomes[command.action], answered });
    this.#socket.send(JSON.stringify({ ...command, requestId }));
    return requestId;
  }

  /**
   * @param {number} seconds
   * @param {SessionError} error The error after this time.
   * @returns {Promise<any>}
   */
  #wait(seconds, error) {
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject };
      this.#timer = setTimeout(() => this.#settle(error), seconds * 1000);
    });
  }

  /**
   * @param {SessionError | null} [error]
   * @param {Message} [outcome]
   */
  #settle(error, outcome) {
    clearTimeout(this.#timer);
    const waiting = this.#waiting;
    this.#waiting = null;
    if (error) waiting?.reject(error);
    else waiting?.resolve(outcome);
  }

  /** @param {unknown} data */
  #receive(data) {
    let message = parse(data, this.#handlers.checks);
    if (!message.type) {
      if (!message.message) return;
      message = this.#failure(message.message);
    }
    const { requestId, type } = message;
    const command = this.#unanswered.get(requestId);
    const isNotice = requestId === undefined && type !== "heartbeatAck";
    if (command ? type !== "error" && type !== command.outcome : !isNotice) return;
    this.#unanswered.delete(requestId);
    command?.answered(message);
    if (type !== "error") this.#handlers.received(message);
  }

  /**
   * Turn an error of API Gateway, which has no type, into the answer to the waiting command.
   *
   * @param {string} message
   * @returns {Message}
   */
  #failure(message) {
    const [oldest] = this.#unanswered.keys();
    const requestId = this.#waiting ? this.#requestId : oldest;
    return { type: "error", code: "INTERNAL_ERROR", message, temporary: true, requestId };
  }
}

/** @param {Record<string, any>} [details] */
const connectionFailed = (details) =>
  new SessionError(CONNECTION_FAILED, "The connection failed", { temporary: true, details });
