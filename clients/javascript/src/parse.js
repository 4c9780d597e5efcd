/** @file Reading the messages that arrive, whose fields can contain anything. */

/** @import { Message } from "./connection.js" */

const LONGEST_SECONDS = 3600;

/** @type {(value: unknown) => value is string} */
const isText = (value) => typeof value === "string";

/** @param {unknown} value */
const isObject = (value) => !!value && typeof value === "object" && !Array.isArray(value);

/** @param {any} value */
const isCounts = (value) => isObject(value) && Object.values(value).every(Number.isFinite);

/**
 * @param {number} least
 * @param {number} [most]
 * @returns {(value: any) => boolean}
 */
const isNumber =
  (least, most = Infinity) =>
  (value) =>
    Number.isFinite(value) && value >= least && value <= most;

const TEXTS =
  "type message code requestId sessionId connectionId sourceLanguage targetLanguage status reason " +
  "inviteCode qualityTier admission";
const NUMBERS = "timestamp listenerCount maxListeners createdAt expiresAt";

/** @type {Map<string, (value: any) => boolean>} What the fields have to be. */
const CHECKS = new Map([
  ...TEXTS.split(" ").map((name) => /** @type {const} */ ([name, isText])),
  ...NUMBERS.split(" ").map((name) => /** @type {const} */ ([name, Number.isFinite])),
  ["details", isObject],
  ["languages", isCounts],
  ["retryAfter", isNumber(0)],
  ["graceSeconds", isNumber(0, LONGEST_SECONDS)],
  ["heartbeatSeconds", isNumber(1, LONGEST_SECONDS)],
]);

/**
 * Read a message. Fields that aren't what they have to be are left out.
 *
 * @param {unknown} data
 * @returns {Message} Empty if the data isn't the text of a JSON object, or its type isn't text.
 */
export function parse(data) {
  const message = isText(data) ? parseJson(data) : null;
  if (!isObject(message) || ("type" in message && !isText(message.type))) return {};
  const fields = Object.entries(message);
  return Object.fromEntries(fields.filter(([name, value]) => CHECKS.get(name)?.(value) ?? true));
}

/**
 * @param {string} text
 * @returns {any}
 */
function parseJson(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
