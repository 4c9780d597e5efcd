/** @file The listener of a session. */

import { CHECKS, Captions } from "./captions.js";
import { Client } from "./client.js";
import { Emitter } from "./emitter.js";
import * as endings from "./endings.js";
import { Entries } from "./entries.js";
import { isHidden } from "./page.js";
import { isText } from "./parse.js";
import { Queue } from "./queue.js";
import { defaultStorage } from "./storage.js";

/** @import { Caption, Gap } from "./captions.js" */
/** @import { Entry } from "./entries.js" */
/** @import { Message, Outcomes, WebSocketClass } from "./connection.js" */
/** @import { Command, SessionJoined } from "./messages.js" */
/** @import { Participant } from "./participant.js" */
/** @import { StateEvent } from "./shown-state.js" */
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
 * @typedef {{ id: string, language: string } & Pick<SessionJoined, "sourceLanguage" | "status">}
 *   Membership
 */
/** @typedef {{ state: StateEvent, caption: Caption, gap: Gap }} ListenerEvents */

/** @type {Outcomes} */
const OUTCOMES = {
  joinSession: "sessionJoined",
  refreshConnection: "connectionRefreshComplete",
  heartbeat: "heartbeatAck",
  changeLanguage: "languageChanged",
  getCaptions: "captions",
};

const BUFFERED_CAPTIONS = 100;

export class Listener {
  session;
  /** The language's code, or the tag that the next `join()` asks for. */
  language;
  /** @type {string | null} */
  sourceLanguage = null;

  #asked;
  #invite;
  #entries;
  #client;
  #playing = false;
  /** @type {string | null} */
  #connectionId = null;
  #entersWith = "";
  /** @type {Emitter<ListenerEvents>} */
  #events = new Emitter();
  /** @type {Queue<Caption>} */
  #buffer = new Queue(BUFFERED_CAPTIONS);
  #captions = new Captions(
    (command, answered) => this.#client.send(command, answered),
    (caption) => void (this.#events.emit("caption", caption) || this.#buffer.push(caption)),
    (gap) => this.#events.emit("gap", gap),
  );

  /**
   * @param {string} url The service's WebSocket URL.
   * @param {ListenerOptions} options
   */
  constructor(url, options) {
    const { session, language, invite = null, storage = defaultStorage() } = options;
    if (!session?.trim() || !language?.trim()) {
      throw new TypeError("The option session or language is missing");
    }
    this.session = session;
    this.#asked = { url, session, asked: language };
    this.#invite = invite;
    this.#entries = Entries.of(storage);
    this.language = this.#findEntry()?.language ?? language;
    /** @type {Participant} */
    const participant = {
      states: {
        active: ["joined", null],
        paused: ["paused", "speakerPaused"],
        interrupted: ["interrupted", "speakerAway"],
      },
      outcomes: OUTCOMES,
      checks: CHECKS,
      leaveCode: 1000,
      connect: (open) => open(this.#credentials()),
      enterCommand: () => this.#enterCommand(),
      entered: (outcome) => this.#entered(outcome),
      received: (message) => this.#received(message),
      changed: (event) => this.#changed(event),
      canDial: () => this.#playing || !isHidden(),
      entries: this.#entries,
      leave: () => this.#leave(),
    };
    this.#client = new Client(url, participant, options.WebSocket);
  }

  get state() {
    return this.#client.shown.state;
  }

  get reason() {
    return this.#client.shown.reason;
  }

  /** Set it while the page plays sound. A hidden page that is silent doesn't dial. */
  get playing() {
    return this.#playing;
  }

  set playing(playing) {
    this.#playing = playing;
    if (playing) this.#client.schedule.wake();
  }

  /** The captions that no handler has taken. */
  get buffer() {
    return this.#buffer.counts();
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
      this.#buffer.drain().forEach((caption) => this.#events.emit("caption", caption));
    }
    return remove;
  }

  /**
   * Join the session. After a temporary failure, the listener keeps trying.
   *
   * @returns {Promise<Membership>} Rejects with a `SessionError` if the first attempt fails.
   */
  async join() {
    if (!this.#client.isRunning) this.#takeEntry();
    await this.#client.enter(true);
    const sourceLanguage = /** @type {string} */ (this.sourceLanguage);
    const status = this.#client.status.value;
    return { id: this.session, language: this.language, sourceLanguage, status };
  }

  /**
   * Hear another language. Before `join()`, or after the listener has failed, set the language of
   * the next `join()`.
   *
   * @param {string} tag
   * @returns {Promise<string>} The code that the service has matched, or the tag before `join()`.
   *   Rejects with a `SessionError`, and the language stays.
   */
  async changeLanguage(tag) {
    if (this.#client.isClosed) throw endings.closed();
    if (!isText(tag) || !tag.trim()) throw endings.invalidParameters();
    if (!this.#client.isRunning) return (this.language = tag);
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
  #entered({ sessionId, connectionId, targetLanguage, sourceLanguage, lastSeq }) {
    const changed = this.language !== this.#entersWith && this.language;
    this.session = sessionId ?? this.session;
    this.language = targetLanguage ?? this.language;
    this.sourceLanguage = sourceLanguage ?? this.sourceLanguage;
    this.#connectionId = connectionId ?? null;
    this.#captions.enter(this.language, lastSeq);
    // The language changed on the old connection after the refresh was sent, which has reset it.
    // All commands of a listener change the language, so one that waits is a newer choice.
    if (changed && this.#client.commands.isEmpty) this.changeLanguage(changed).catch(() => {});
  }

  /** @param {Message} message */
  #received(message) {
    const { type, targetLanguage, lastSeq } = message;
    if (type === "languageChanged") {
      this.language = targetLanguage ?? this.language;
      this.#captions.change(this.language, lastSeq);
    }
    if (type === "caption") this.#captions.receive(message);
  }

  /** @param {StateEvent} event */
  #changed(event) {
    if (!this.#client.isRunning) this.#captions.stop();
    if (event.state === "ended") this.#captions.change("");
    this.#events.emit("state", event);
  }

  /** @returns {Entry[]} The seat, for the next page. */
  #leave() {
    const connectionId = this.#connectionId;
    const seat = { ...this.#asked, language: this.language, invite: this.#invite, connectionId };
    return connectionId ? [seat] : [];
  }

  /** Find the seat of the page before this one, rather that of the listener with this language. */
  #findEntry() {
    const { url, session, asked } = this.#asked;
    const isOwn = (/** @type {Entry} */ it) =>
      it.connectionId && it.url === url && it.session === session;
    const entries = this.#entries;
    return entries.find((it) => isOwn(it) && it.asked === asked) ?? entries.find(isOwn);
  }

  /** Take the seat of the page before this one. */
  #takeEntry() {
    const entry = this.#findEntry();
    this.#entries.take(entry);
    this.#connectionId = entry?.connectionId ?? null;
    this.#invite ??= entry?.invite ?? null;
  }
}
