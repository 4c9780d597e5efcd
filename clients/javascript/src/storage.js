/** @file The storage of the page, which can hold garbage, be full, or be closed to it. */

/**
 * @typedef {object} EntryStorage What the clients use of the browser's `Storage`.
 * @property {(key: string) => string | null} getItem
 * @property {(key: string, value: string) => void} setItem
 * @property {(key: string) => void} removeItem
 */

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

/**
 * Read a value that an application or an older version can have written.
 *
 * @param {EntryStorage | null} storage
 * @param {string} key
 * @returns {any} Null if there is none, if it isn't JSON, or if the storage throws.
 */
export function readJson(storage, key) {
  try {
    return JSON.parse(storage?.getItem(key) ?? "null");
  } catch {
    return null;
  }
}

/**
 * @param {EntryStorage | null} storage
 * @param {string} key
 */
export function remove(storage, key) {
  try {
    storage?.removeItem(key);
  } catch {
    // The browser forbids it, and then there is nothing to remove.
  }
}
