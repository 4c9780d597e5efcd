/** @file The web page around the client: whether it is visible, online, or away. Empty elsewhere. */

/** @returns {boolean} Whether the page is in the background. */
export const isHidden = () => globalThis.document?.hidden ?? false;

/**
 * Watch the page.
 *
 * @param {object} handlers
 * @param {() => void} handlers.online The network is back.
 * @param {() => void} handlers.visible The page is back, from the background or from a cache.
 * @param {() => void} handlers.hidden The page is in the background.
 * @param {() => void} handlers.leaves The page is closed, reloaded or cached.
 * @param {() => void} handlers.restored The page is back from the back/forward cache.
 * @returns {() => void} Removes all listeners.
 */
export function watchPage({ online, visible, hidden, leaves, restored }) {
  const { document } = globalThis;
  if (!document) return () => {};
  const watcher = new AbortController();
  const options = { signal: watcher.signal };
  addEventListener("online", online, options);
  addEventListener("pagehide", leaves, options);
  addEventListener("pageshow", ({ persisted }) => (persisted && restored(), visible()), options);
  const changed = () => (document.hidden ? hidden() : visible());
  document.addEventListener("visibilitychange", changed, options);
  return () => watcher.abort();
}
