/** @file The lookup of languages, which has to agree with the service's. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { LANGUAGES, findLanguage } from "../src/languages.js";

// The answers of the service's find_source().
const FOUND = {
  ...{
    en: "en",
    "en-US": "en",
    "EN-us": "en",
    "fr-CA": "fr-CA",
    "fr-FR": "fr",
    "fr-ca-x-a": "fr-CA",
  },
  ...{ "nb-NO": "no", nn: "no", "zh-Hant-HK": "zh-TW", "zh-HK": "zh-TW", "zh-Hans-HK": "zh" },
  ...{ "zh-CN": "zh", "cmn-Hant": "zh-TW", iw: "he", in: "id", fil: "tl", "prs-AF": "fa-AF" },
  ...{ "es-419": "es", "es-MX": "es-MX", "pt-BR": "pt", "pt-PT": "pt-PT", "de-x-private": "de" },
  ...{ "sr-Latn-RS": "sr", xx: null, "": null, en_US: null, e: null, "-en": null, "en-": null },
};

for (const [tag, code] of Object.entries(FOUND)) {
  test(`"${tag}" finds ${code}`, () => assert.equal(findLanguage(tag), code));
}

test("every code finds itself", () => {
  for (const { code } of LANGUAGES) assert.equal(findLanguage(code), code);
});

test("a listener looks among the languages that have a voice", () => {
  const found = (tag) => findLanguage(tag, { withVoice: true });
  assert.equal(found("es-AR"), "es");
  assert.equal(found("fa-AF"), null);
  assert.equal(found("sr"), null);
});
