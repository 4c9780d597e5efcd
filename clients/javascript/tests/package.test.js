/** @file The package, as an application imports it. */

import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { test } from "node:test";

const ROOT = new URL("../", import.meta.url);
const { dependencies, exports, name } = JSON.parse(readFileSync(new URL("package.json", ROOT)));

const NAMES = {
  ".": ["Listener", "SessionError", "Speaker", "inviteLink", "readInviteLink"],
  "./listener": ["Listener"],
  "./speaker": ["Speaker"],
  "./languages": ["LANGUAGES", "findLanguage"],
  "./sign-in": ["SignIn"],
};

test("the package has no dependencies", () => assert.equal(dependencies, undefined));

test("the exports are known", () => assert.deepEqual(Object.keys(exports), Object.keys(NAMES)));

for (const [path, names] of Object.entries(NAMES)) {
  test(`${path} exports ${names.join(", ")}, with declarations`, async () => {
    assert.deepEqual(Object.keys(await import(name + path.slice(1))), names);
    assert.ok(existsSync(new URL(exports[path].types, ROOT)), "run npm run types");
  });
}
