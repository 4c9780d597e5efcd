/** @file Reading the messages that arrive, whose fields can contain anything. */

/** @import { Message } from "./connection.js" */

const LONGEST_SECONDS = 3600;

/** @typedef {(value: any) => boolean} Check */
/** @typedef {[names: string, check: Check][]} Checks What fields have to be. */

/** @type {(value: unknown) => value is string} */
export const isText = (value) => typeof value === "string";

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

/** @type {Check} */
export const isCount = (value) => Number.isSafeInteger(value) && value >= 0;

/** @type {Checks} */
const CHECKS = [
  ["type message code requestId sessionId connectionId sourceLanguage status reason", isText],
  ["timestamp", Number.isFinite],
  ["details", isObject],
  ["retryAfter", isNumber(0)],
  ["graceSeconds", isNumber(0, LONGEST_SECONDS)],
  ["heartbeatSeconds", isNumber(1, LONGEST_SECONDS)],
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
  return restrict(message, [...CHECKS, ...checks]);
}

/**
 * Remove the fields that aren't what they have to be.
 *
 * @param {any} fields
 * @param {Checks} checks
 */
export function restrict(fields, checks) {
  for (const [names, check] of checks) {
    for (const name of names.split(" ")) if (!check(fields[name])) delete fields[name];
  }
  return fields;
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
