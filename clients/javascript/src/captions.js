/** @file The order of a language's captions, and the recovery of missing ones. */

import { LONGEST_SECONDS } from "./errors.js";
import { isCount, isObject, isText, restrict } from "./parse.js";

/** @import { Answered, Message } from "./connection.js" */
/** @import { Caption as CaptionMessage, Command } from "./messages.js" */
/** @import { Check, Checks } from "./parse.js" */
/** @typedef {Omit<CaptionMessage, "timestamp">} Caption */
/**
 * @typedef {object} Gap Captions that are lost.
 * @property {string} language
 * @property {number} afterSeq The number of the caption before them.
 * @property {number} count
 */
/**
 * @callback Ask Sends a command, unless there is no connection in the session.
 * @param {Command} command
 * @param {Answered} answered Called with the outcome or the error.
 */

/** The time for a missing caption to arrive by itself, and the wait after a failure. */
const MISSING_SECONDS = 2;
const ANSWER_SECONDS = 10;

/** The service keeps as many. */
const BUFFERED_CAPTIONS = 200;

/** @type {Check} */
const isAudio = (value) => isText(value?.url) || (isText(value?.data) && isText(value.contentType));

/** @type {Checks} */
export const CHECKS = [
  ["targetLanguage language captionId text", isText],
  ["lastSeq seq startedAt durationMs", isCount],
  ["items", Array.isArray],
  ["audio", isAudio],
];

export class Captions {
  #language = "";
  /** The number of the last caption that is delivered, or counted as lost. */
  #last = 0;
  /** The largest number that is known to exist. */
  #known = 0;
  /** @type {Map<number, Caption>} The captions after a missing one, by number. */
  #buffered = new Map();
  #isAsking = false;
  /** @type {ReturnType<typeof setTimeout> | undefined} Ends a wait, or the time for an answer. */
  #timer;
  #ask;
  #deliver;
  #lose;

  /**
   * @param {Ask} ask
   * @param {(caption: Caption) => void} deliver
   * @param {(gap: Gap) => void} lose
   */
  constructor(ask, deliver, lose) {
    this.#ask = ask;
    this.#deliver = deliver;
    this.#lose = lose;
  }

  /**
   * Begin with a language, or go on with it. Answers on an earlier connection are lost.
   *
   * @param {string} language
   * @param {number} [lastSeq] The number of its last caption.
   */
  enter(language, lastSeq) {
    this.stop();
    this.change(language, lastSeq);
  }

  /**
   * Begin with a language, or go on with it, on the same connection.
   *
   * @param {string} language
   * @param {number} [lastSeq] The number of its last caption.
   */
  change(language, lastSeq = 0) {
    if (language !== this.#language) {
      this.#language = language;
      this.#last = lastSeq;
      this.#known = 0;
      this.#buffered.clear();
    }
    this.#known = Math.max(this.#known, lastSeq);
    if (!this.#isAsking) this.#wait(0);
  }

  /** @param {Message} message A caption that the service has sent by itself. */
  receive(message) {
    const last = this.#last;
    this.#add(message, BUFFERED_CAPTIONS);
    this.#advance(0);
    const isWaiting = this.#timer !== undefined && this.#last === last;
    if (!this.#isAsking && !isWaiting) this.#wait(MISSING_SECONDS);
  }

  stop() {
    this.#isAsking = false;
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  /**
   * @param {any} fields
   * @param {number} limit How many captions can be buffered.
   */
  #add(fields, limit) {
    if (!isObject(fields)) return;
    const { timestamp, ...caption } = restrict(fields, CHECKS);
    const { language, seq, captionId, text, startedAt } = caption;
    const isIncomplete = [captionId, text, startedAt].includes(undefined);
    if (language !== this.#language || !(seq > this.#last) || isIncomplete) return;
    this.#known = Math.max(this.#known, seq);
    if (this.#buffered.size < limit || seq === this.#last + 1) this.#buffered.set(seq, caption);
  }

  /**
   * Deliver the captions that follow the last one.
   *
   * @param {number} accounted What is missing up to this number is lost.
   */
  #advance(accounted) {
    const captions = [...this.#buffered.values()].sort((one, other) => one.seq - other.seq);
    for (const caption of captions) {
      this.#skip(Math.min(caption.seq - 1, accounted));
      if (caption.seq > this.#last + 1) break;
      this.#buffered.delete(caption.seq);
      this.#last = caption.seq;
      this.#deliver(caption);
    }
    this.#skip(accounted);
  }

  /** @param {number} until */
  #skip(until) {
    const afterSeq = this.#last;
    if (until <= afterSeq) return;
    this.#last = until;
    this.#lose({ language: this.#language, afterSeq, count: until - afterSeq });
  }

  /**
   * Ask for what is missing, after a wait.
   *
   * @param {number} seconds
   */
  #wait(seconds) {
    this.stop();
    if (this.#last >= this.#known) return;
    if (seconds) this.#timer = setTimeout(() => this.#wait(0), seconds * 1000);
    else this.#request();
  }

  #request() {
    this.stop();
    const timer = setTimeout(() => this.#wait(MISSING_SECONDS), ANSWER_SECONDS * 1000);
    this.#timer = timer;
    this.#isAsking = true;
    this.#ask({ action: "getCaptions", afterSeq: this.#last }, (answer) => {
      const hasMore = this.#answered(answer);
      if (timer !== this.#timer) return; // It is late.
      if (hasMore) this.#request();
      else this.#wait(MISSING_SECONDS + Math.min(answer.retryAfter ?? 0, LONGEST_SECONDS));
    });
  }

  /**
   * @param {Message} answer
   * @returns {boolean} Whether there is more to ask for at once.
   */
  #answered({ targetLanguage, items, lastSeq, hasMore }) {
    const last = this.#last;
    if (items && lastSeq !== undefined && targetLanguage === this.#language) {
      for (const item of items) if (item?.seq <= lastSeq) this.#add(item, Infinity);
      this.#advance(lastSeq);
    }
    return hasMore && this.#last > last;
  }
}
