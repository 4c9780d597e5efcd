/** @file The sound of one caption, from its arrival to its end. */

/** @import { Caption } from "./captions.js" */

export class Utterance {
  arrivedAt = performance.now();
  durationMs;
  #audio;
  #released = new AbortController();
  /** @type {Promise<string> | undefined} */
  #source;

  /**
   * @param {Caption} caption
   * @param {NonNullable<Caption["audio"]>} audio
   */
  constructor({ durationMs = 0 }, audio) {
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
    const audio = this.#audio;
    const isLink = "url" in audio;
    const blob = isLink ? await download(audio.url, signal) : decode(audio);
    signal.throwIfAborted();
    if (isLink && !blob) return audio.url;
    const source = URL.createObjectURL(/** @type {Blob} */ (blob));
    signal.addEventListener("abort", () => URL.revokeObjectURL(source));
    return source;
  }
}

/**
 * @param {string} url
 * @param {AbortSignal} signal
 * @returns {Promise<Blob | null>} Null if the page may not read the sound. It may still play it.
 */
async function download(url, signal) {
  let answer;
  try {
    answer = await fetch(url, { signal });
  } catch {
    return null;
  }
  if (!answer.ok) throw new Error(`The audio is answered with ${answer.status}`);
  return answer.blob();
}

/** @param {{ data: string, contentType: string }} audio */
function decode({ data, contentType }) {
  const bytes = Uint8Array.from(atob(data), (byte) => byte.charCodeAt(0));
  return new Blob([bytes], { type: contentType });
}
