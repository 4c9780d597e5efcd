/** @file The web page around the client: whether it is visible or online. Empty elsewhere. */

/** @returns {boolean} Whether the page is in the background. */
export const isHidden = () => globalThis.document?.hidden ?? false;

/**
 * Watch the page.
 *
 * @param {object} handlers
 * @param {() => void} handlers.online The network is back.
 * @param {() => void} handlers.visible The page is back, from the background or from a cache.
 * @param {() => void} handlers.hidden The page is in the background.
 * @returns {() => void} Removes all listeners.
 */
export function watchPage({ online, visible, hidden }) {
  const { document, window } = globalThis;
  if (!document) return () => {};
  /** @type {[EventTarget, string, () => void][]} */
  const listeners = [
    [window, "online", online],
    [window, "pageshow", visible],
    [document, "visibilitychange", () => (document.hidden ? hidden() : visible())],
  ];
  listeners.forEach(([target, type, handler]) => target.addEventListener(type, handler));
  return () =>
    listeners.forEach(([target, type, handler]) => target.removeEventListener(type, handler));
}
