/** @file The sound of a listener's captions. */

import { Emitter } from "./emitter.js";
import { Utterance } from "./utterance.js";

/** @import { Caption } from "./captions.js" */
/** @import { Listener } from "./listener.js" */
/**
 * @typedef {object} Skip Utterances that aren't heard.
 * @property {number} count
 * @property {"behind" | "failed"} reason
 */
/** @typedef {{ skip: Skip, blocked: {} }} AudioEvents */

/** The utterances that are loaded before their turn. */
const AHEAD = 2;

const BEHIND_MS = 8000;
const CATCH_UP_RATE = 1.1;

/** The time for an utterance to begin, or to go on, before the next one has its turn. */
const STALLED_MS = 8000;

/** 10 ms of silence: 80 samples of 8 bits at 8 kHz. */
const HEADER = "UklGRnQAAABXQVZFZm10IBAAAAABAAEAQB8AAEAfAAABAAgAZGF0YVAAAACA";
const SILENCE = `data:audio/wav;base64,${HEADER}${"gICA".repeat(26)}gA==`;

/** Plays the audio of captions one after another, in one element. */
export class AudioPlayer {
  #listener;
  #element;
  /** @type {Emitter<AudioEvents>} */
  #events = new Emitter();
  #closed = new AbortController();
  #isOn = false;
  #language = "";
  /** @type {Utterance[]} */
  #waiting = [];
  /** @type {Utterance | null} What loads or plays, unless it is the silence. */
  #current = null;
  /** Whether something loads or plays. */
  #isBusy = false;
  /** Whether the element has the source of what plays, and not that of the utterance before. */
  #hasSource = false;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #stalled;

  /**
   * @param {Listener} listener
   * @param {object} [options]
   * @param {HTMLAudioElement} [options.element] A new one by default.
   */
  constructor(listener, { element = new Audio() } = {}) {
    this.#listener = listener;
    this.#element = element;
    const remove = listener.on("caption", (caption) => this.#receive(caption));
    this.#closed.signal.addEventListener("abort", remove);
    this.#when("ended", () => this.#next());
    this.#when("error", () => this.#failed());
    this.#when("playing", () => clearTimeout(this.#stalled));
    this.#when("waiting", () => this.#watch());
  }

  /**
   * Call a handler for each event of a type.
   *
   * @template {keyof AudioEvents} Type
   * @param {Type} type
   * @param {(event: AudioEvents[Type]) => void} handler
   * @returns {() => void} Removes the handler.
   */
  on(type, handler) {
    return this.#events.on(type, handler);
  }

  /**
   * Play from now on. Call it in the handler of the tap that joins: browsers let an element play by
   * itself only after it has played in such a handler.
   */
  unlock() {
    if (this.#closed.signal.aborted || (this.#isOn && !this.#element.paused)) return;
    if (this.#current) this.#waiting.unshift(this.#current);
    this.#current = null;
    this.#turn(true);
    this.#play(SILENCE);
  }

  /** Be silent from now on. */
  close() {
    this.#closed.abort();
    this.#turn(false);
    this.#element.removeAttribute("src");
  }

  /**
   * @param {"ended" | "error" | "playing" | "waiting"} type
   * @param {() => void} handler
   */
  #when(type, handler) {
    const { signal } = this.#closed;
    this.#element.addEventListener(type, () => this.#hasSource && handler(), { signal });
  }

  /** @param {boolean} isOn */
  #turn(isOn) {
    this.#isOn = isOn;
    this.#listener.playing = isOn;
    if (isOn) return;
    this.#drop();
    this.#end();
  }

  /** Forget all utterances. */
  #drop() {
    this.#waiting.splice(0).forEach((it) => it.release());
    if (this.#current) this.#end();
  }

  /** End the turn of the current utterance. */
  #end() {
    clearTimeout(this.#stalled);
    this.#element.pause();
    this.#current?.release();
    this.#current = null;
    this.#isBusy = this.#hasSource = false;
  }

  /** @param {Caption} caption */
  #receive(caption) {
    if (!this.#isOn || !caption.audio) return;
    if (caption.language !== this.#language) this.#drop();
    this.#language = caption.language;
    this.#waiting.push(new Utterance(caption, caption.audio));
    if (this.#isBusy) this.#catchUp();
    else this.#next();
  }

  async #next() {
    this.#end();
    this.#catchUp();
    const utterance = this.#waiting.shift();
    if (!utterance) return;
    this.#current = utterance;
    this.#isBusy = true;
    this.#watch();
    this.#catchUp();
    try {
      const source = await utterance.load();
      if (utterance === this.#current) this.#play(source);
    } catch {
      if (utterance === this.#current) this.#failed();
    }
  }

  /** Skip what is too far behind, and load what comes next. */
  #catchUp() {
    const [first, ...rest] = this.#waiting;
    const isLate = first && performance.now() - first.arrivedAt > BEHIND_MS;
    // The newest one would have to wait for the others.
    const ahead = this.#waiting.slice(0, -1).reduce((sum, { durationMs }) => sum + durationMs, 0);
    if (rest.length && (isLate || ahead > BEHIND_MS)) {
      this.#waiting.splice(0, rest.length).forEach((it) => it.release());
      this.#events.emit("skip", { count: rest.length, reason: "behind" });
    }
    this.#waiting.slice(0, AHEAD).forEach((it) => it.load());
    this.#element.playbackRate = this.#waiting.length > 1 ? CATCH_UP_RATE : 1;
  }

  /** @param {string} source */
  async #play(source) {
    const element = this.#element;
    this.#isBusy = this.#hasSource = true;
    this.#watch();
    element.src = source;
    this.#catchUp(); // A new source resets the rate.
    try {
      await element.play();
    } catch (error) {
      const { name } = /** @type {Error} */ (error);
      if (name !== "NotAllowedError") return; // The element's event tells.
      this.#turn(false);
      this.#events.emit("blocked", {});
    }
  }

  #watch() {
    clearTimeout(this.#stalled);
    this.#stalled = setTimeout(() => this.#failed(), STALLED_MS);
  }

  #failed() {
    if (this.#current) this.#events.emit("skip", { count: 1, reason: "failed" });
    this.#next();
  }
}
