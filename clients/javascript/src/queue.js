/** @file A bounded first-in, first-out queue. */

/** @template Item */
export class Queue {
  /** The number of items that found no room. */
  dropped = 0;
  /** @type {Item[]} */
  #items = [];
  #limit;

  /** @param {number} limit The largest number of items. */
  constructor(limit) {
    this.#limit = limit;
  }

  get length() {
    return this.#items.length;
  }

  /**
   * Add an item, unless the queue is full.
   *
   * @param {Item} item
   * @returns {boolean} Whether the item was added.
   */
  offer(item) {
    if (this.length >= this.#limit) {
      this.dropped += 1;
      return false;
    }
    this.#items.push(item);
    return true;
  }

  /**
   * Add an item. If the queue is full, drop the oldest one.
   *
   * @param {Item} item
   */
  push(item) {
    if (!this.offer(item)) {
      this.#items.shift();
      this.#items.push(item);
    }
  }

  /** @returns {Item | undefined} The oldest item, which leaves the queue. */
  shift() {
    return this.#items.shift();
  }

  /** @returns {Item[]} All items, which leave the queue. */
  drain() {
    return this.#items.splice(0);
  }

  /** @returns {{ length: number, dropped: number }} */
  counts() {
    return { length: this.length, dropped: this.dropped };
  }
}
