/** @file The speaker of a session. */

import { Client } from "./client.js";
import { Emitter } from "./emitter.js";
import * as endings from "./endings.js";
import { Entries } from "./entries.js";
import { SESSION_NOT_FOUND, SessionError } from "./errors.js";
import { isObject, isText } from "./parse.js";
import { timestampOf } from "./status.js";
import { defaultStorage } from "./storage.js";
import { isToken, openWithToken } from "./token.js";

/** @import { Message, Outcomes, WebSocketClass } from "./connection.js" */
/** @import { CaptionAccepted, Command, CreateSession, SessionCreated, SessionStatusAnswer, SpeakerRefreshed } from "./messages.js" */
/** @import { Checks } from "./parse.js" */
/** @import { Participant } from "./participant.js" */
/** @import { StateEvent } from "./shown-state.js" */
/** @import { Entry } from "./entries.js" */
/** @import { EntryStorage } from "./storage.js" */
/** @import { TokenSource } from "./token.js" */
/**
 * @typedef {object} SpeakerOptions
 * @property {TokenSource} token A token, or a callback that is asked whenever a connection opens.
 * @property {EntryStorage | null} [storage] `sessionStorage` by default. Null for none.
 * @property {WebSocketClass} [WebSocket] The global class by default.
 */
/** @typedef {Pick<CreateSession, "qualityTier" | "admission">} SessionOptions */
/**
 * @typedef {{ id: string } & Pick<SessionCreated, "inviteCode" | "sourceLanguage" | "qualityTier"
 *   | "admission" | "maxListeners" | "expiresAt">} Session
 */
/** @typedef {Pick<SessionStatusAnswer, "listenerCount" | "languages">} Audience */
/** @typedef {Audience & Pick<SessionStatusAnswer, "status" | "createdAt" | "expiresAt">} SessionStatus */
/** @typedef {Pick<CaptionAccepted, "captionId" | "seq">} SentCaption */
/** @typedef {{ id: string } & Pick<SpeakerRefreshed, "inviteCode" | "status">} OwnedSession */
/** @typedef {{ state: StateEvent, audience: Audience }} SpeakerEvents */

/** @type {Outcomes} */
const OUTCOMES = {
  createSession: "sessionCreated",
  refreshConnection: "connectionRefreshComplete",
  heartbeat: "heartbeatAck",
  getSessionStatus: "sessionStatus",
  pauseSession: "sessionPaused",
  resumeSession: "sessionResumed",
  rotateInviteCode: "inviteCodeRotated",
  endSession: "sessionEnded",
  sendCaption: "captionAccepted",
};

/** @param {any} value */
const isCounts = (value) => isObject(value) && Object.values(value).every(Number.isFinite);

/** @type {Checks} */
const CHECKS = [
  ["inviteCode qualityTier admission captionId", isText],
  ["listenerCount maxListeners createdAt expiresAt seq", Number.isFinite],
  ["languages", isCounts],
];

/** The service treats it as a drop, so the session stays for the grace period. */
const LEAVE_CODE = 4000;

/** @type {WeakSet<Entry>} The entries whose session a speaker of this page has as `lastSession`. */
const isLearned = new WeakSet();

export class Speaker {
  /** @type {string | null} Null until the speaker is in a session. */
  session = null;
  /** @type {string | null} */
  inviteCode = null;
  /** The number of listeners at the latest heartbeat or `status()`. */
  listenerCount = 0;
  /** @type {Record<string, number>} The number of listeners by language, at the same time. */
  languages = {};
  /** @type {string | null} The session that this tab's previous page had. */
  lastSession;

  #client;
  /** @type {string | null} The session to come back to. */
  #target = null;
  /** @type {Command} */
  #createCommand = { action: "createSession", sourceLanguage: "" };
  /** @type {Message} */
  #outcome = {};
  #codeTimestamp = 0;
  #audienceTimestamp = 0;
  #forgetLast;
  /** @type {Emitter<SpeakerEvents>} */
  #events = new Emitter();

  /**
   * @param {string} url The service's WebSocket URL.
   * @param {SpeakerOptions} options
   */
  constructor(url, { token, storage = defaultStorage(), WebSocket }) {
    if (typeof token !== "function" && !isToken(token)) {
      throw new TypeError("The option token must be a text that isn't empty, or a function");
    }
    const entries = Entries.of(storage);
    /** @type {Participant} */
    const participant = {
      states: { active: ["live", null], paused: ["paused", "speakerPaused"] },
      outcomes: OUTCOMES,
      checks: CHECKS,
      noSession: endings.noSession(),
      leaveCode: LEAVE_CODE,
      connect: (open, signal) => openWithToken(open, token, signal, this.session !== null),
      enterCommand: () => this.#enterCommand(),
      entered: (outcome) => this.#entered(outcome),
      received: (message) => this.#received(message),
      changed: (event) => this.#events.emit("state", event),
      canDial: () => true,
      entries,
      leave: () => (this.#target ? [{ url, session: this.#target }] : []),
    };
    this.#client = new Client(url, participant, WebSocket);
    const last = entries.find((it) => it.url === url && !it.connectionId && !isLearned.has(it));
    if (last) isLearned.add(last);
    this.lastSession = last?.session ?? null;
    this.#forgetLast = () => entries.take(last);
  }

  get state() {
    return this.#client.shown.state;
  }

  get reason() {
    return this.#client.shown.reason;
  }

  /** The commands that wait to be sent. */
  get queue() {
    return this.#client.commands.queue.counts();
  }

  /**
   * Call a handler for each event of a type.
   *
   * @template {keyof SpeakerEvents} Type
   * @param {Type} type
   * @param {(event: SpeakerEvents[Type]) => void} handler
   * @returns {() => void} Removes the handler.
   */
  on(type, handler) {
    return this.#events.on(type, handler);
  }

  /**
   * Create a session.
   *
   * @param {string} sourceLanguage The language that the speaker speaks.
   * @param {SessionOptions} [options]
   * @returns {Promise<Session>} Rejects with a `SessionError`. If it is temporary, call it again.
   */
  async create(sourceLanguage, { qualityTier, admission } = {}) {
    if (this.#client.isRunning) throw conflict();
    const fields = encodable({ sourceLanguage, qualityTier, admission });
    this.#reset(null);
    this.#createCommand = { action: "createSession", ...fields };
    await this.#client.enter(false);
    const { sessionId: id, inviteCode, maxListeners, expiresAt, ...outcome } = this.#outcome;
    return {
      id,
      inviteCode,
      sourceLanguage: outcome.sourceLanguage,
      qualityTier: outcome.qualityTier,
      admission: outcome.admission,
      maxListeners,
      expiresAt,
    };
  }

  /**
   * Come back to a session of your own, for example after a reload.
   *
   * @param {string} sessionId
   * @returns {Promise<OwnedSession>} Rejects with a `SessionError` if the first attempt fails. After
   *   a temporary failure, the speaker keeps trying.
   */
  async takeOver(sessionId) {
    if (!isText(sessionId) || !sessionId.trim()) {
      throw new SessionError("INVALID_SESSION_ID", "The session's ID is missing");
    }
    if (!this.#client.isRunning) this.#reset(sessionId);
    else if (normalize(sessionId) !== normalize(this.#target ?? "")) throw conflict();
    await this.#client.enter(true);
    const [id, inviteCode] = /** @type {[string, string]} */ ([this.session, this.inviteCode]);
    return { id, inviteCode, status: this.#client.status.value };
  }

  /**
   * Pause the session. Its listeners stay in it.
   *
   * @returns {Promise<void>} Rejects with a `SessionError`, as all commands do.
   */
  async pause() {
    await this.#client.ask({ action: "pauseSession" });
  }

  /**
   * Resume the session after a pause.
   *
   * @returns {Promise<void>} Rejects with a `SessionError`.
   */
  async resume() {
    await this.#client.ask({ action: "resumeSession" });
  }

  /**
   * End the session for all participants.
   *
   * @returns {Promise<void>} It also resolves if the session ends in another way. Rejects with a
   *   `SessionError`.
   */
  async end() {
    try {
      await this.#client.ask({ action: "endSession" });
    } catch (error) {
      const isOver = error instanceof SessionError && error.code === SESSION_NOT_FOUND;
      if (!isOver || this.state !== "ended") throw error;
    }
  }

  /**
   * Ask for the session's current status and audience.
   *
   * @returns {Promise<SessionStatus>} Rejects with a `SessionError`.
   */
  async status() {
    const outcome = await this.#client.ask({ action: "getSessionStatus" });
    const { listenerCount, languages, status, createdAt, expiresAt } = outcome;
    return { listenerCount, languages, status, createdAt, expiresAt };
  }

  /**
   * Replace the invite code. The old one admits no more listeners.
   *
   * @returns {Promise<string>} The new code. Rejects with a `SessionError`.
   */
  async rotateInviteCode() {
    const { inviteCode } = await this.#client.ask({ action: "rotateInviteCode" });
    return inviteCode;
  }

  /**
   * Publish a phrase in the source language, and have it translated. If the answer is lost, the
   * command is sent again with the same ID, so the phrase is delivered once.
   *
   * @param {string} text At most 1,000 characters.
   * @param {object} [options]
   * @param {string | null} [options.captionId] Your ID for the phrase. A random one by default.
   * @returns {Promise<SentCaption>} Rejects with a `SessionError`.
   */
  async sendCaption(text, options) {
    const captionId = options?.captionId ?? randomId();
    if (!isText(text) || !isText(captionId)) throw endings.invalidParameters();
    const { seq } = await this.#client.ask({ action: "sendCaption", text, captionId });
    return { captionId, seq };
  }

  /** Leave. The session stays for the grace period. To end it, call `end()` before. */
  close() {
    this.#client.close();
  }

  /** @param {string | null} target The session to take over. */
  #reset(target) {
    this.#forgetLast();
    this.session = null;
    this.#target = target;
    this.inviteCode = null;
    this.#codeTimestamp = 0;
    this.listenerCount = 0;
    this.languages = {};
  }

  /** @returns {Command} */
  #enterCommand() {
    return this.#target
      ? { action: "refreshConnection", sessionId: this.#target, role: "speaker" }
      : this.#createCommand;
  }

  /** @param {Message} outcome */
  #entered(outcome) {
    this.#outcome = outcome;
    this.#audienceTimestamp = 0;
    this.session = this.#target = outcome.sessionId ?? this.#target;
  }

  /** @param {Message} message */
  #received(message) {
    const { type, inviteCode } = message;
    const timestamp = timestampOf(message) ?? this.#codeTimestamp;
    // An answer that was sent before the code was replaced can arrive after the new code.
    if (inviteCode && timestamp >= this.#codeTimestamp) {
      this.inviteCode = inviteCode;
      this.#codeTimestamp = timestamp;
    }
    if (type === "heartbeatAck" || type === "sessionStatus") this.#count(message);
  }

  /** @param {Message} message */
  #count(message) {
    const { listenerCount = 0, languages = {} } = message;
    const timestamp = timestampOf(message) ?? this.#audienceTimestamp;
    if (timestamp < this.#audienceTimestamp) return;
    this.#audienceTimestamp = timestamp;
    const audience = Object.freeze({ listenerCount, languages: Object.freeze({ ...languages }) });
    if (describe(audience) === describe(this)) return;
    Object.assign(this, audience);
    this.#events.emit("audience", audience);
  }
}

/**
 * A session's ID as the service reads what people type.
 *
 * @param {string} sessionId
 */
const normalize = (sessionId) => sessionId.trim().toLowerCase().replace(/[ _-]+/g, "-");

/**
 * @template Fields
 * @param {Fields} fields
 * @returns {Fields} Throws if they can't be sent.
 */
function encodable(fields) {
  try {
    JSON.stringify(fields);
    return fields;
  } catch {
    throw endings.invalidParameters();
  }
}

/** `crypto.randomUUID` exists only in pages of https. */
const randomId = () => btoa(String.fromCharCode(...crypto.getRandomValues(new Uint8Array(15))));

/** @param {Audience} audience */
const describe = ({ listenerCount, languages }) =>
  `${[listenerCount, ...Object.entries(languages).sort()]}`;

const conflict = () => new SessionError("CONFLICT", "This speaker already has a session");
