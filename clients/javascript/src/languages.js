/** @file The languages of the service, and the lookup of a tag among them. */

import { LANGUAGES, SAME_LANGUAGE } from "./language-table.js";

export { LANGUAGES };

/** @typedef {{ code: string, name: string, hasVoice: boolean }} Language */

const TAG = /^[a-z]{2,8}(-[a-z0-9]{1,8})*$/i;

/** @type {Map<string, string>} */
const SAME = new Map(Object.entries(SAME_LANGUAGE));

/**
 * Return the code of a language, as the service finds it.
 *
 * It removes subtags from the end of the tag until the tag matches one of the codes.
 * Source: RFC 4647, section 3.4 (Lookup).
 *
 * @param {string} tag A BCP 47 tag, for example `navigator.language`.
 * @param {{ withVoice?: boolean }} [options] Whether the language must have a voice.
 * @returns {string | null} Null if the tag matches none.
 */
export function findLanguage(tag, { withVoice = false } = {}) {
  if (!TAG.test(tag)) return null;
  const languages = LANGUAGES.filter(({ hasVoice }) => hasVoice || !withVoice);
  const codes = new Map(languages.map(({ code }) => [code.toLowerCase(), code]));
  const subtags = tag.toLowerCase().split("-");
  while (subtags.length) {
    const range = subtags.join("-");
    const code = codes.get((SAME.get(range) ?? range).toLowerCase());
    if (code) return code;
    subtags.pop();
    // A single letter such as "x" only introduces the removed subtag.
    if (subtags.at(-1)?.length === 1) subtags.pop();
  }
  return null;
}
