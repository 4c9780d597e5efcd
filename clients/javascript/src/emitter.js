/** @file Events for the application, and the errors of its functions. */

/**
 * Calls the handlers of an event.
 *
 * Handlers run in microtasks, in the order of the events. So they never run in the middle of a
 * transition of the client.
 *
 * @template {Record<string, any>} Events
 */
export class Emitter {
  /** @type {Map<keyof Events, Set<(event: any) => void>>} */
  #handlers = new Map();

  /**
   * Call a handler for each event of a type.
   *
   * @template {keyof Events} Type
   * @param {Type} type
   * @param {(event: Events[Type]) => void} handler
   * @returns {() => void} Removes the handler.
   */
  on(type, handler) {
    const handlers = this.#of(type);
    handlers.add(handler);
    return () => void handlers.delete(handler);
  }

  /**
   * @template {keyof Events} Type
   * @param {Type} type
   * @param {Events[Type]} event
   * @returns {boolean} Whether there is a handler.
   */
  emit(type, event) {
    const handlers = this.#of(type);
    const called = [...handlers];
    queueMicrotask(() =>
      called.forEach((handler) => handlers.has(handler) && call(handler, event)),
    );
    return called.length > 0;
  }

  /** @param {keyof Events} type */
  #of(type) {
    const handlers = this.#handlers.get(type) ?? new Set();
    this.#handlers.set(type, handlers);
    return handlers;
  }
}

/**
 * Call a handler. Report its error, or the rejection of its promise.
 *
 * @param {(event: any) => any} handler
 * @param {any} event
 */
async function call(handler, event) {
  try {
    await handler(event);
  } catch (error) {
    report(error);
  }
}

/**
 * Report an error of a function of the application.
 *
 * @param {unknown} error
 */
export function report(error) {
  try {
    (globalThis.reportError ?? console.error)(error);
  } catch {
    // The application's own function has failed.
  }
}
