/**
 * @file What a page leaves for the page after it: the seats of its listeners, and the sessions of
 * its speakers.
 *
 * The entries are stored only while the page is away. A duplicated tab copies the storage, so
 * entries that were stored longer would give it the seats of the first tab. So a page takes all
 * entries out of the storage when it is loaded, and each of its clients finds its own among them.
 */

import { defaultStorage, readJson, remove } from "./storage.js";

/** @import { EntryStorage } from "./storage.js" */
/** @typedef {Record<string, string | null>} Entry */
/** @typedef {() => Entry[]} Leave What a running client leaves. */

const KEY = "broadcast-sessions-client.entries";

/** @type {WeakMap<object, Entries>} What this page has found, by storage. */
const pages = new WeakMap();

export class Entries {
  /** @type {Set<Leave>} */
  leaving = new Set();
  #found;

  /**
   * @param {EntryStorage | null} storage
   * @returns {Entries} Those that all clients of the page share.
   */
  static of(storage) {
    const key = storage ?? pages;
    const entries = pages.get(key) ?? new Entries(storage);
    pages.set(key, entries);
    return entries;
  }

  /** @param {EntryStorage | null} storage */
  constructor(storage) {
    this.#found = read(storage);
    const clear = () => remove(storage, KEY);
    clear();
    const { window } = globalThis;
    window?.addEventListener("pagehide", () => write(storage, this.#left()));
    window?.addEventListener("pageshow", clear); // from the browser's cache
  }

  /**
   * Find an entry of the page before, unless another client of this page has taken it.
   *
   * @param {(entry: Entry) => unknown} condition
   * @returns {Entry | undefined}
   */
  find(condition) {
    return this.#found.find(condition);
  }

  /**
   * Take an entry. From now on, the client leaves it.
   *
   * @param {Entry | undefined} entry
   */
  take(entry) {
    this.#found = this.#found.filter((it) => it !== entry);
  }

  #left() {
    return this.#found.concat([...this.leaving].flatMap((leave) => leave()));
  }
}

/**
 * @param {EntryStorage | null} storage
 * @returns {Entry[]} Without what an application or another version has written.
 */
function read(storage) {
  const value = readJson(storage, KEY);
  return Array.isArray(value) ? value.filter(isEntry) : [];
}

/** @param {any} value */
const isEntry = (value) =>
  value?.url && Object.values(value).every((it) => it === null || typeof it === "string");

/**
 * @param {EntryStorage | null} storage
 * @param {Entry[]} entries
 */
function write(storage, entries) {
  try {
    if (entries.length) storage?.setItem(KEY, JSON.stringify([...read(storage), ...entries]));
  } catch {
    // The storage is full: the next page joins anew.
  }
}

Entries.of(defaultStorage());
