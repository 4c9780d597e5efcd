/**
 * @file What a page leaves for the page after it, in `sessionStorage`.
 *
 * An entry exists only while the page is away. A duplicated tab copies the storage, so an entry that
 * existed longer would give it the seat of the first tab.
 */

/** @typedef {Pick<Storage, "getItem" | "setItem" | "removeItem">} EntryStorage */

/**
 * @returns {EntryStorage | null} Null outside of pages, and where the browser forbids storage.
 */
export function defaultStorage() {
  try {
    return globalThis.sessionStorage ?? null;
  } catch {
    return null;
  }
}

/** An entry of one role. */
export class Entry {
  #storage;
  #key;

  /**
   * @param {EntryStorage | null} storage
   * @param {"listener" | "speaker"} role
   */
  constructor(storage, role) {
    this.#storage = storage;
    this.#key = `broadcast-sessions-client.${role}`;
  }

  /** @param {Record<string, any>} value */
  write(value) {
    try {
      this.#storage?.setItem(this.#key, JSON.stringify(value));
    } catch {
      // The storage is full: the next page joins anew.
    }
  }

  /** @returns {Record<string, any> | null} The value, which leaves the storage. */
  take() {
    const text = this.#storage?.getItem(this.#key);
    this.#storage?.removeItem(this.#key);
    try {
      return JSON.parse(text ?? "null");
    } catch {
      return null;
    }
  }
}
