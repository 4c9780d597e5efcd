/** @file A speaker's token: asking for it, and telling a refused one from a failed connection. */

import { report } from "./emitter.js";
import { SessionError, TOKEN_FAILED, temporaryError } from "./errors.js";
import { isText } from "./parse.js";

/** @import { Connection } from "./connection.js" */
/** @typedef {string | (() => string | Promise<string>)} TokenSource */
/** @typedef {(credentials: Record<string, string>) => Promise<Connection>} Open */

const TOKEN_SECONDS = 30;

/**
 * Open a connection with a token. After a refusal, ask for a token once more, and try it even if it
 * is the same one: the network can return between the attempt and the probe.
 *
 * @param {Open} open
 * @param {TokenSource} source
 * @param {AbortSignal} signal Stops waiting for the callback.
 * @param {boolean} hasSession Whether the service has accepted a token before.
 * @returns {Promise<Connection>}
 */
export async function openWithToken(open, source, signal, hasSession) {
  const token = await ask(source, signal);
  try {
    return await openUnlessRefused(open, token, hasSession);
  } catch (error) {
    if (!isFinal(error)) throw error;
    return openUnlessRefused(open, await ask(source, signal), hasSession);
  }
}

/**
 * @param {TokenSource} source
 * @param {AbortSignal} signal
 * @returns {Promise<string>} Rejects with the callback's error if that is a final `SessionError`.
 *   Reports any other error, and rejects with `TOKEN_FAILED`.
 */
async function ask(source, signal) {
  if (typeof source === "string") return source;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  /** @type {Promise<string>} */
  const answer = new Promise((resolve, reject) => {
    timer = setTimeout(() => reject(tookTooLong()), TOKEN_SECONDS * 1000);
    signal.addEventListener("abort", reject);
    Promise.resolve()
      .then(() => (signal.aborted ? "" : source()))
      .then(resolve, reject);
  });
  try {
    const token = await answer;
    if (isToken(token)) return token;
    throw new TypeError("The token callback must return a text that isn't empty");
  } catch (error) {
    if (isFinal(error)) throw error;
    if (!signal.aborted) report(error);
    throw temporaryError(TOKEN_FAILED, "The token callback failed");
  } finally {
    clearTimeout(timer);
  }
}

/**
 * A browser hides the status of a refused handshake. If the same URL opens without the token, the
 * token was the reason. In a session, a token that isn't expired can't be: the service has failed.
 *
 * @param {Open} open
 * @param {string} token
 * @param {boolean} hasSession
 * @returns {Promise<Connection>}
 */
async function openUnlessRefused(open, token, hasSession) {
  try {
    return await open({ token });
  } catch (error) {
    if (!(error instanceof SessionError) || error.details.timedOut) throw error;
    const probe = await open({}).catch(() => null);
    probe?.close();
    if (!probe || (hasSession && isUnexpired(token))) throw error;
    throw new SessionError("UNAUTHORIZED", "The token was refused");
  }
}

/**
 * Source: RFC 7519, section 4.1.4.
 *
 * @param {string} token
 * @returns {boolean} Whether it is a JSON Web Token that names a later expiry.
 */
function isUnexpired(token) {
  try {
    const claims = token.split(".")[1].replace(/-/g, "+").replace(/_/g, "/");
    return JSON.parse(atob(claims)).exp * 1000 > Date.now();
  } catch {
    return false; // The token is of another kind.
  }
}

/** @param {unknown} value */
export const isToken = (value) => isText(value) && value !== "";

/** @param {unknown} error */
const isFinal = (error) => error instanceof SessionError && !error.temporary;

const tookTooLong = () => new Error(`The token callback took more than ${TOKEN_SECONDS} s`);
