/** @file The listener of a session. */

import { Client } from "./client.js";
import { Emitter } from "./emitter.js";
import { isHidden } from "./page.js";
import { Queue } from "./queue.js";
import { Entry, defaultStorage } from "./storage.js";

/** @import { Participant, StateEvent } from "./client.js" */
/** @import { Message, WebSocketClass } from "./connection.js" */
/** @import { Command, SessionJoined } from "./messages.js" */
/** @import { EntryStorage } from "./storage.js" */
/**
 * @typedef {object} ListenerOptions
 * @property {string} session The session's ID, as in the link or as the listener types it.
 * @property {string} language The language to hear, for example `navigator.language`.
 * @property {string | null} [invite] The invite code.
 * @property {EntryStorage | null} [storage] `sessionStorage` by default. Null for none.
 * @property {WebSocketClass} [WebSocket] The global class by default.
 */
/**
 * @typedef {{ id: string, language: string } & Pick<SessionJoined, "sourceLanguage" | "status">} Joined
 */
/** @typedef {{ state: StateEvent, caption: Record<string, any> }} ListenerEvents */

const BUFFERED_CAPTIONS = 100;
const REMEMBERED_CAPTIONS = 100;

export class Listener {
  /** Set it while the page plays sound. A hidden page that is silent doesn't dial. */
  playing = false;
  session;
  language;
  /** @type {string | null} */
  sourceLanguage = null;

  #url;
  #asked;
  #invite;
  #entry;
  #client;
  /** @type {string | null} */
  #connectionId = null;
  #entersWith = "";
  /** @type {Emitter<ListenerEvents>} */
  #events = new Emitter();
  /** @type {Queue<Record<string, any>>} */
  #captions = new Queue(BUFFERED_CAPTIONS);
  /** @type {string[]} What has arrived, because a refresh can deliver it on both connections. */
  #remembered = [];

  /**
   * @param {string} url The service's WebSocket URL.
   * @param {ListenerOptions} options
   */
  constructor(url, options) {
    const { session, language, invite = null, storage = defaultStorage() } = options;
    if (!session?.trim()) throw new TypeError("The option session is missing");
    if (!language?.trim()) throw new TypeError("The option language is missing");
    this.session = this.#asked = session;
    this.language = language;
    this.#url = url;
    this.#invite = invite;
    this.#entry = new Entry(storage, "listener");
    /** @type {Participant} */
    const participant = {
      states: {
        active: ["joined", null],
        paused: ["paused", "speakerPaused"],
        interrupted: ["interrupted", "speakerAway"],
      },
      leaveCode: 1000,
      connect: (open) => open(this.#credentials()),
      enterCommand: () => this.#enterCommand(),
      entered: (outcome) => this.#entered(outcome),
      received: (message, text) => this.#received(message, text),
      changed: (event) => this.#events.emit("state", event),
      canDial: () => this.playing || !isHidden(),
      leaves: () => this.#writeEntry(),
      restored: () => this.#entry.take(),
    };
    this.#client = new Client(url, participant, options.WebSocket);
  }

  get state() {
    return this.#client.state;
  }

  get reason() {
    return this.#client.reason;
  }

  /** The captions that no handler has taken. */
  get buffer() {
    return this.#captions.counts();
  }

  /**
   * Call a handler for each event of a type. The first handler of captions gets the buffered ones.
   *
   * @template {keyof ListenerEvents} Type
   * @param {Type} type
   * @param {(event: ListenerEvents[Type]) => void} handler
   * @returns {() => void} Removes the handler.
   */
  on(type, handler) {
    const remove = this.#events.on(type, handler);
    if (type === "caption") {
      this.#captions.drain().forEach((caption) => this.#events.emit("caption", caption));
    }
    return remove;
  }

  /**
   * Join the session. After a temporary failure, the listener keeps trying.
   *
   * @returns {Promise<Joined>} Rejects with a `SessionError` if the first attempt fails.
   */
  async join() {
    if (!this.#client.isRunning) this.#readEntry();
    await this.#client.enter(true);
    const sourceLanguage = /** @type {string} */ (this.sourceLanguage);
    const { status } = this.#client;
    return { id: this.session, language: this.language, sourceLanguage, status };
  }

  /**
   * Hear another language.
   *
   * @param {string} tag
   * @returns {Promise<string>} The code that the service has matched. Rejects with a
   *   `SessionError`, and the language stays.
   */
  async changeLanguage(tag) {
    const outcome = await this.#client.ask({ action: "changeLanguage", targetLanguage: tag });
    return outcome.targetLanguage;
  }

  /** Leave the session, and give the seat back. */
  close() {
    this.#client.close();
  }

  /** @returns {Record<string, string>} */
  #credentials() {
    return this.#invite ? { sessionId: this.session, inviteCode: this.#invite } : {};
  }

  /** @returns {Command} */
  #enterCommand() {
    this.#entersWith = this.language;
    const command = {
      sessionId: this.session,
      targetLanguage: this.language,
      inviteCode: this.#invite ?? undefined,
    };
    const connectionId = this.#connectionId;
    return connectionId
      ? { action: "refreshConnection", role: "listener", connectionId, ...command }
      : { action: "joinSession", ...command };
  }

  /** @param {Message} outcome */
  #entered({ sessionId, connectionId, targetLanguage, sourceLanguage }) {
    const changed = this.language !== this.#entersWith && this.language;
    this.session = sessionId;
    this.language = targetLanguage;
    this.sourceLanguage = sourceLanguage;
    this.#connectionId = connectionId;
    // The language changed on the old connection after the refresh was sent, which has reset it.
    if (changed) this.changeLanguage(changed).catch(() => {});
  }

  /**
   * @param {Message} message
   * @param {string} text
   */
  #received(message, text) {
    if (message.type === "languageChanged") this.language = message.targetLanguage;
    if (message.type === "caption") this.#caption(message, text);
  }

  /**
   * @param {Message} caption
   * @param {string} text
   */
  #caption(caption, text) {
    if (this.#remembered.includes(text)) return;
    this.#remembered.push(text);
    if (this.#remembered.length > REMEMBERED_CAPTIONS) this.#remembered.shift();
    if (!this.#events.emit("caption", caption)) this.#captions.push(caption);
  }

  #writeEntry() {
    const connectionId = this.#connectionId;
    if (!connectionId) return;
    const [url, session, invite] = [this.#url, this.#asked, this.#invite];
    this.#entry.write({ url, session, connectionId, language: this.language, invite });
  }

  /** Take the seat of the page before this one, if it was in the same session. */
  #readEntry() {
    this.#connectionId = null;
    const entry = this.#entry.take();
    if (entry?.url !== this.#url || entry.session !== this.#asked) return;
    this.#connectionId = entry.connectionId;
    this.#invite ??= entry.invite;
    this.language = entry.language;
  }
}
