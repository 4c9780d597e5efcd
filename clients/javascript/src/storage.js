/**
 * @file What a page leaves for the page after it, in `sessionStorage`.
 *
 * The entries exist only while the page is away. A duplicated tab copies the storage, so entries
 * that existed longer would give it the seats of the first tab. So a page takes all entries out of
 * the storage at once, and each of its clients finds its own among them.
 */

/** @typedef {Pick<Storage, "getItem" | "setItem" | "removeItem">} EntryStorage */
/** @typedef {Record<string, string | null>} Entry */

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

/** @type {WeakMap<EntryStorage, Record<string, Entry[]>>} What this page has found, by key. */
const found = new WeakMap();

/** The entries of one role. */
export class Entries {
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

  /**
   * Find an entry of the page before, unless another client of this page has taken it.
   *
   * @param {(entry: Entry) => boolean} condition
   * @returns {Entry | undefined}
   */
  find(condition) {
    return this.#found.find(condition);
  }

  /**
   * Take an entry that `find()` has returned.
   *
   * @param {Entry | undefined} entry
   * @returns {Entry | undefined}
   */
  take(entry) {
    if (entry) this.#found.splice(this.#found.indexOf(entry), 1);
    return entry;
  }

  /**
   * Leave an entry for the next page.
   *
   * @param {Entry} entry
   */
  write(entry) {
    const storage = this.#storage;
    if (!storage) return;
    found.delete(storage);
    try {
      storage.setItem(this.#key, JSON.stringify([...readArray(storage, this.#key), entry]));
    } catch {
      // The storage is full: the next page joins anew.
    }
  }

  /** Remove the entries, because the page is back. */
  clear() {
    if (this.#storage) remove(this.#storage, this.#key);
  }

  /** @returns {Entry[]} */
  get #found() {
    const [storage, key] = [this.#storage, this.#key];
    if (!storage) return [];
    const byKey = found.get(storage) ?? {};
    found.set(storage, byKey);
    if (!byKey[key]) {
      byKey[key] = readArray(storage, key).filter(isEntry);
      remove(storage, key);
    }
    return byKey[key];
  }
}

/** @param {any} value */
const isEntry = (value) =>
  value?.url && Object.values(value).every((it) => it === null || typeof it === "string");

/**
 * @param {EntryStorage} storage
 * @param {string} key
 * @returns {any[]} Empty if the storage is closed to the page, or holds something else.
 */
function readArray(storage, key) {
  const value = readJson(storage, key);
  return Array.isArray(value) ? value : [];
}

/**
 * Read a value that an application or an older version can have written.
 *
 * @param {EntryStorage} storage
 * @param {string} key
 * @returns {any} Null if there is none, if it isn't JSON, or if the storage throws.
 */
export function readJson(storage, key) {
  try {
    return JSON.parse(storage.getItem(key) ?? "null");
  } catch {
    return null;
  }
}

/**
 * @param {EntryStorage} storage
 * @param {string} key
 */
export function remove(storage, key) {
  try {
    storage.removeItem(key);
  } catch {
    // The browser forbids it, and then there is nothing to remove.
  }
}
