/** @file Links that invite listeners, such as `https://listen.example.org/#golden-eagle-427/CODE`. */

const SESSION_ID = /^[a-z]+-[a-z]+-[0-9]{3}$/i;

/**
 * Return a link to a listener page. The part after `#` never reaches a web server's log.
 *
 * @param {string | URL} pageUrl The listener page.
 * @param {{ id: string, inviteCode: string }} session What `create()` returns.
 * @returns {string}
 */
export function inviteLink(pageUrl, { id, inviteCode }) {
  const url = new URL(pageUrl);
  url.hash = `${id}/${encodeURIComponent(inviteCode)}`;
  return url.href;
}

/**
 * Read a link of `inviteLink`, or one that has only the session's ID.
 *
 * @param {string | URL} url For example `location.href`.
 * @returns {{ session: string, invite: string | null } | null} Null if the link names no session.
 */
export function readInviteLink(url) {
  try {
    const [session, invite] = new URL(url).hash.slice(1).split("/").map(decodeURIComponent);
    return SESSION_ID.test(session) ? { session, invite: invite || null } : null;
  } catch {
    return null; // not a URL, or not percent-encoded
  }
}
