/** @file The globals of a web page, as far as the clients use them. */

import { getEventListeners } from "node:events";

export class Browser {
  #names = ["document", "window", "sessionStorage"];
  #window = new EventTarget();
  #document = Object.assign(new EventTarget(), { hidden: false });

  /** Load a page. It has what the page before it has stored. */
  load() {
    this.#window = new EventTarget();
    this.#document = Object.assign(new EventTarget(), { hidden: false });
    const sessionStorage = new FakeStorage(globalThis.sessionStorage);
    Object.assign(globalThis, { document: this.#document, window: this.#window, sessionStorage });
  }

  unload() {
    this.#names.forEach((name) => delete globalThis[name]);
  }

  /** The number of the clients' listeners on the window and the document. */
  get listeners() {
    const types = ["online", "visibilitychange"];
    const targets = [this.#window, this.#document];
    return targets.flatMap((it) => types.flatMap((type) => getEventListeners(it, type))).length;
  }

  hide() {
    this.#setHidden(true);
  }

  show() {
    this.#setHidden(false);
  }

  online() {
    this.#window.dispatchEvent(new Event("online"));
  }

  offline() {
    this.#window.dispatchEvent(new Event("offline"));
  }

  leave() {
    this.#window.dispatchEvent(new Event("pagehide"));
  }

  /** Come back from the back/forward cache. */
  restore() {
    this.#window.dispatchEvent(Object.assign(new Event("pageshow"), { persisted: true }));
  }

  #setHidden(hidden) {
    this.#document.hidden = hidden;
    this.#document.dispatchEvent(new Event("visibilitychange"));
  }
}

export class FakeStorage extends Map {
  getItem(key) {
    return this.get(key) ?? null;
  }

  setItem(key, value) {
    this.set(key, value);
  }

  removeItem(key) {
    this.delete(key);
  }
}
