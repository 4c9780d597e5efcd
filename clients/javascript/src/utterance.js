/** @file The sound of one caption, from its arrival to its end. */

import { isText } from "./parse.js";

/** @import { Caption } from "./captions.js" */

export class Utterance {
  arrivedAt = performance.now();
  durationMs;
  language;
  #audio;
  #released = new AbortController();
  /** @type {Promise<string> | undefined} */
  #source;

  /**
   * @param {Caption} caption
   * @returns {Utterance | null} Null if the caption has no audio.
   */
  static of(caption) {
    const audio = /** @type {Record<string, unknown>} */ (caption.audio ?? {});
    const { url, data, contentType } = audio;
    if (isText(data) && isText(contentType)) return new Utterance(caption, { data, contentType });
    return isText(url) ? new Utterance(caption, { url }) : null;
  }

  /**
   * @param {Caption} caption
   * @param {{ url: string } | { data: string, contentType: string }} audio
   */
  constructor({ language, durationMs = 0 }, audio) {
    this.language = language;
    this.durationMs = durationMs;
    this.#audio = audio;
  }

  /**
   * Load the sound. You can call it again.
   *
   * @returns {Promise<string>} A URL for the element. Rejects if the sound can't be loaded.
   */
  load() {
    this.#source ??= this.#load();
    this.#source.catch(() => {}); // The caller may not wait for it yet.
    return this.#source;
  }

  /** Forget the sound. */
  release() {
    this.#released.abort();
  }

  async #load() {
    const { signal } = this.#released;
    const blob = "url" in this.#audio ? await download(this.#audio.url, signal) : decode(this.#audio);
    signal.throwIfAborted();
    if (isText(blob)) return blob;
    const source = URL.createObjectURL(blob);
    signal.addEventListener("abort", () => URL.revokeObjectURL(source));
    return source;
  }
}

/**
 * @param {string} url
 * @param {AbortSignal} signal
 * @returns {Promise<Blob | string>} The URL itself if the page may not read it, but only play it.
 */
async function download(url, signal) {
  let answer;
  try {
    answer = await fetch(url, { signal });
  } catch {
    return url;
  }
  if (!answer.ok) throw new Error(`The audio is answered with ${answer.status}`);
  return answer.blob();
}

/** @param {{ data: string, contentType: string }} audio */
function decode({ data, contentType }) {
  const bytes = Uint8Array.from(atob(data), (byte) => byte.charCodeAt(0));
  return new Blob([bytes], { type: contentType });
}
