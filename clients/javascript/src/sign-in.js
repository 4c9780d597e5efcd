/**
 * @file Signing a speaker in on Cognito's page, by an authorization code with PKCE.
 *
 * Source: RFC 6749, section 4.1; RFC 7636; "User pool endpoints and managed login reference",
 * Amazon Cognito Developer Guide.
 */

import { CONNECTION_FAILED, SessionError, temporaryError } from "./errors.js";
import { defaultStorage, readJson, remove } from "./storage.js";
import { isToken } from "./token.js";

/** @import { EntryStorage } from "./storage.js" */
/**
 * @typedef {object} SignInOptions
 * @property {string} url The address of the sign-in page, as `make output NAME=sign_in_url` prints it.
 * @property {string} clientId The app client's ID.
 * @property {string} redirectUrl The page to return to. The app client must list it.
 * @property {EntryStorage | null} [storage] `sessionStorage` by default.
 * @property {typeof globalThis.fetch} [fetch] The global function by default.
 */
/** @typedef {{ accessToken: string, refreshToken: string, expiresAt: number }} Tokens */

const SCOPE = "openid email profile";
const ANSWER_MS = 10_000;
/** A token is renewed this long before it expires. */
const EARLY_MS = 60_000;
/** Cognito's default lifetime, since RFC 6749 only recommends that an answer names it. */
const EXPIRES_IN_SECONDS = 3600;

const ATTEMPT_KEY = "broadcast-sessions-client.sign-in";
const TOKENS_KEY = "broadcast-sessions-client.tokens";

export class SignIn {
  #options;
  #storage;
  #fetch;
  /** @type {Promise<string> | null} */
  #renewal = null;
  /** @type {Tokens | null} What found no room in the storage. */
  #unstored = null;

  /** @param {SignInOptions} options */
  constructor(options) {
    const { storage = defaultStorage(), fetch = globalThis.fetch } = options;
    if (!storage) throw new TypeError("There is no sessionStorage: pass the option storage");
    this.#options = options;
    this.#storage = storage;
    this.#fetch = fetch;
  }

  get isSignedIn() {
    return this.#tokens !== null;
  }

  /**
   * Go to the sign-in page. It returns to `redirectUrl`, where you call `finish()`.
   *
   * @returns {Promise<never>} Doesn't resolve, because the code after it would run without a token
   *   until the page is gone.
   */
  async start() {
    const attempt = { state: randomText(), verifier: randomText() };
    this.#storage.setItem(ATTEMPT_KEY, JSON.stringify(attempt));
    const url = this.#endpoint("/oauth2/authorize", {
      response_type: "code",
      redirect_uri: this.#options.redirectUrl,
      scope: SCOPE,
      state: attempt.state,
      code_challenge_method: "S256",
      code_challenge: await challenge(attempt.verifier),
    });
    location.assign(url);
    return new Promise(() => {});
  }

  /**
   * Take the result of the sign-in page out of the page's address. Call it when the page loads.
   *
   * @returns {Promise<boolean>} False if the sign-in page hasn't just returned. Rejects with
   *   `SIGN_IN_FAILED` if it refused, or if this tab hasn't started the sign-in. Then start again.
   */
  async finish() {
    const url = new URL(location.href);
    const { code, error, state } = Object.fromEntries(url.searchParams);
    if (!state || !(code || error)) return false;
    ["code", "error", "error_description", "state"].forEach((it) => url.searchParams.delete(it));
    history.replaceState(history.state, "", url);
    const attempt = readJson(this.#storage, ATTEMPT_KEY);
    remove(this.#storage, ATTEMPT_KEY);
    if (attempt?.state !== state) throw failure("This tab hasn't started the sign-in");
    if (error) throw failure("The sign-in page refused the sign-in");
    const grant = {
      grant_type: "authorization_code",
      redirect_uri: this.#options.redirectUrl,
      code,
      code_verifier: attempt.verifier,
    };
    const tokens = await this.#exchange(grant).catch(({ message }) => {
      throw failure(message); // The code is used up: even after a lost answer, start anew.
    });
    this.#keep(tokens);
    return true;
  }

  /**
   * Return a valid token, and renew it before it expires. Pass this function to `Speaker`.
   *
   * @returns {Promise<string>} Rejects with `SIGNED_OUT` if the speaker has to sign in again.
   */
  token = async () => {
    const tokens = this.#tokens;
    if (!tokens) throw signedOut();
    if (Date.now() < tokens.expiresAt - EARLY_MS) return tokens.accessToken;
    this.#renewal ??= this.#renew(tokens).finally(() => {
      this.#renewal = null;
    });
    return this.#renewal;
  };

  /**
   * Forget the tokens, and sign out on the sign-in page.
   *
   * @param {string} logoutUrl The page to return to. The app client must list it.
   */
  signOut(logoutUrl) {
    this.#forget();
    location.assign(this.#endpoint("/logout", { logout_uri: logoutUrl }));
  }

  /**
   * @param {Tokens} tokens
   * @returns {Promise<string>} The new access token, or the old one if it is still valid.
   */
  async #renew({ accessToken, refreshToken, expiresAt }) {
    try {
      const grant = { grant_type: "refresh_token", refresh_token: refreshToken };
      const tokens = await this.#exchange(grant);
      if (!this.isSignedIn) throw signedOut();
      this.#keep(tokens);
      return tokens.accessToken;
    } catch (error) {
      const isTemporary = error instanceof SessionError && error.temporary;
      if (!isTemporary) this.#forget();
      if (!this.isSignedIn) throw signedOut();
      if (Date.now() < expiresAt) return accessToken;
      throw error;
    }
  }

  /**
   * @param {Record<string, string>} grant
   * @returns {Promise<Tokens>} Rejects with `SIGN_IN_FAILED` only if the service has refused.
   */
  async #exchange(grant) {
    const response = await this.#post(grant).catch(() => null);
    const body = await response?.json().catch(() => null);
    const { error, access_token, refresh_token, expires_in } = body ?? {};
    const isRefusal = response?.status === 400 || response?.status === 401;
    if (isRefusal && typeof error === "string") {
      throw failure("The sign-in service refused the request");
    }
    if (!response?.ok || !isToken(access_token)) {
      throw temporaryError(CONNECTION_FAILED, "The sign-in service doesn't answer");
    }
    const seconds = expires_in > 0 ? expires_in : EXPIRES_IN_SECONDS;
    return {
      accessToken: access_token,
      refreshToken: refresh_token ?? grant.refresh_token,
      expiresAt: Date.now() + seconds * 1000,
    };
  }

  /** @param {Tokens} tokens */
  #keep(tokens) {
    try {
      this.#storage.setItem(TOKENS_KEY, JSON.stringify(tokens));
      this.#unstored = null;
    } catch {
      this.#unstored = tokens; // The storage is full: they last as long as the page.
    }
  }

  #forget() {
    this.#unstored = null;
    remove(this.#storage, TOKENS_KEY);
  }

  /** @param {Record<string, string>} grant */
  #post(grant) {
    const { clientId: client_id, url } = this.#options;
    return this.#fetch.call(globalThis, new URL("/oauth2/token", url), {
      method: "POST",
      body: new URLSearchParams({ ...grant, client_id }),
      redirect: "error", // A redirection would hand the secrets on.
      signal: AbortSignal.timeout(ANSWER_MS),
    });
  }

  /** @returns {Tokens | null} */
  get #tokens() {
    const tokens = this.#unstored ?? readJson(this.#storage, TOKENS_KEY);
    return tokens?.accessToken ? tokens : null;
  }

  /**
   * @param {string} path
   * @param {Record<string, string>} query
   */
  #endpoint(path, query) {
    const url = new URL(path, this.#options.url);
    url.search = String(new URLSearchParams({ client_id: this.#options.clientId, ...query }));
    return url.href;
  }
}

/** @param {string} message */
const failure = (message) => new SessionError("SIGN_IN_FAILED", message);

const signedOut = () => new SessionError("SIGNED_OUT", "The speaker has to sign in again");

/** 256 random bits. Source: RFC 7636, section 7.1. */
const randomText = () => base64Url(crypto.getRandomValues(new Uint8Array(32)));

/** @param {string} verifier */
const challenge = async (verifier) =>
  base64Url(
    new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(verifier))),
  );

/** @param {Uint8Array} bytes */
const base64Url = (bytes) =>
  btoa(String.fromCharCode(...bytes)).replace(/[+/=]/g, (it) => URL_SAFE[it]);

/** @type {Record<string, string>} */
const URL_SAFE = { "+": "-", "/": "_", "=": "" };
