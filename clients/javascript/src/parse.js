/** @file Reading the messages that arrive, whose fields can contain anything. */

/** @import { Message } from "./connection.js" */

const LONGEST_SECONDS = 3600;

/** @typedef {(value: any) => boolean} Check */
/** @typedef {[name: string, check: Check][]} Checks What fields have to be. */

/** @type {(value: unknown) => value is string} */
const isText = (value) => typeof value === "string";

/** @param {unknown} value */
export const isObject = (value) => !!value && typeof value === "object" && !Array.isArray(value);

/**
 * @param {number} least
 * @param {number} [most]
 * @returns {Check}
 */
const isNumber =
  (least, most = Infinity) =>
  (value) =>
    Number.isFinite(value) && value >= least && value <= most;

/**
 * @param {Check} check
 * @param {string} names
 * @returns {Checks}
 */
const all = (check, names) => names.split(" ").map((name) => [name, check]);

/** @param {string} names */
export const texts = (names) => all(isText, names);

/** @param {string} names */
export const numbers = (names) => all(Number.isFinite, names);

const CHECKS = [
  ...texts("type message code requestId sessionId connectionId sourceLanguage status reason"),
  ...numbers("timestamp"),
  ...all(isObject, "details"),
  ...all(isNumber(0), "retryAfter"),
  ...all(isNumber(0, LONGEST_SECONDS), "graceSeconds"),
  ...all(isNumber(1, LONGEST_SECONDS), "heartbeatSeconds"),
];

/**
 * Read a message. Fields that aren't what they have to be are left out.
 *
 * @param {unknown} data
 * @param {Checks} checks Those of the participant's own fields.
 * @returns {Message} Empty if the data isn't the text of a JSON object, or its type isn't text.
 */
export function parse(data, checks) {
  const message = isText(data) ? parseJson(data) : null;
  if (!isObject(message) || ("type" in message && !isText(message.type))) return {};
  for (const [name, check] of [...CHECKS, ...checks]) {
    if (!check(message[name])) delete message[name];
  }
  return message;
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
