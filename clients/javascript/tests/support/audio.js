/** @file An audio element that only the test moves, and the network that its sounds come from. */

import { AudioPlayer } from "../../src/audio.js";
import { settle } from "./clock.js";
import { SESSION, inWorld } from "./world.js";

/** The parts of an `HTMLAudioElement` that the player uses, as the HTML standard has them. */
class FakeElement extends EventTarget {
  paused = true;
  playbackRate = 1;
  /** The name of the error with which a call of `play()` is rejected. */
  refusal = "NotAllowedError";
  /** The sources that have played. */
  played = [];
  #source = null;

  get src() {
    return this.#source;
  }

  set src(source) {
    this.#source = source;
    this.paused = true;
    this.playbackRate = 1;
  }

  removeAttribute(name) {
    if (name === "src") this.#source = null;
  }

  async play() {
    if (this.refusal) throw new DOMException("It can't play", this.refusal);
    this.paused = false;
    this.played.push(this.#source);
  }

  pause() {
    this.paused = true;
  }
}

class Stage {
  element = new FakeElement();
  skips = [];
  /** The URLs that the player has fetched. */
  fetched = [];
  /** Statuses by URL, and promises of them. Others are found. */
  answers = {};
  /** The blobs that have a URL. */
  blobs = new Map();
  blocked = 0;

  constructor(world, listener) {
    this.world = world;
    this.listener = listener;
    this.player = new AudioPlayer(listener, { element: this.element });
    this.player.on("skip", (skip) => this.skips.push(skip));
    this.player.on("blocked", () => (this.blocked += 1));
  }

  /** What plays now, as the test has named it. */
  get now() {
    const { src, paused } = this.element;
    if (paused) return null;
    return this.blobs.get(src)?.name ?? src;
  }

  /** The names of the sounds that have a URL. */
  get loaded() {
    return [...this.blobs.values()].map(({ name }) => name);
  }

  /** Fetch as a page does. The content of each answer is its URL. */
  fetch = async (url, { signal }) => {
    this.fetched.push(url);
    const answer = await (this.answers[url] ?? 200);
    if (answer === "silence") await new Promise((_, reject) => (signal.onabort = reject));
    if (answer === "forbidden") throw new TypeError("Failed to fetch");
    return { ok: answer === 200, status: answer, blob: async () => named(new Blob([url]), url) };
  };

  tap() {
    this.element.refusal = null;
    this.player.unlock();
  }

  /** Tap, and let the silence end. */
  async start() {
    this.tap();
    await this.emit("playing");
    await this.emit("ended");
  }

  async emit(type) {
    if (type === "ended") this.element.paused = true;
    this.element.dispatchEvent(new Event(type));
    await settle();
  }

  /** Send captions with these audios. */
  async speak(...audios) {
    for (const audio of audios) await this.caption({ audio });
  }

  #seq = 0;

  async caption(fields) {
    const seq = (this.#seq += 1);
    const ids = { sessionId: SESSION, language: "es", seq, captionId: `phrase-${seq}` };
    const caption = { type: "caption", ...ids, text: "Hola", startedAt: seq, ...fields };
    await this.world.deliver({ ...caption, timestamp: seq });
  }
}

const named = (blob, name) => Object.assign(blob, { name });

/** The audio of a caption, and the name of its sound. */
export const sound = (name) => ({ url: name });

/**
 * Make a test's function out of one that takes a stage.
 *
 * @param {(stage: Stage) => Promise<void>} run
 */
export const onStage = (run) =>
  inWorld(async (world) => {
    const stage = new Stage(world, await world.joined());
    const { fetch } = globalThis;
    const { createObjectURL, revokeObjectURL } = URL;
    globalThis.fetch = stage.fetch;
    let count = 0;
    URL.createObjectURL = (blob) => {
      const url = `blob:${(count += 1)}`;
      stage.blobs.set(url, blob);
      return url;
    };
    URL.revokeObjectURL = (url) => stage.blobs.delete(url);
    try {
      await run(stage);
    } finally {
      Object.assign(globalThis, { fetch });
      Object.assign(URL, { createObjectURL, revokeObjectURL });
    }
  });
