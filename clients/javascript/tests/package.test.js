/** @file The package, as an application imports it. */

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { test } from "node:test";

const ROOT = new URL("../", import.meta.url);
const { dependencies, exports, name } = JSON.parse(readFileSync(new URL("package.json", ROOT)));

const NAMES = {
  ".": ["Listener", "SessionError", "Speaker", "inviteLink", "readInviteLink"],
  "./listener": ["Listener"],
  "./speaker": ["Speaker"],
  "./audio": ["AudioPlayer"],
  "./languages": ["LANGUAGES", "findLanguage"],
  "./sign-in": ["SignIn"],
};

test("the package has no dependencies", () => assert.equal(dependencies, undefined));

test("the packed package has the sources, their declarations and the documents, and no more", () => {
  const options = { cwd: ROOT, encoding: "utf8" };
  const output = execFileSync("npm", ["pack", "--dry-run", "--json", "--ignore-scripts"], options);
  const [{ files }] = JSON.parse(output);
  const sources = readdirSync(new URL("src", ROOT));
  const declarations = sources.map((name) => name.replace(/\.js$/, ".d.ts"));
  assert.deepEqual(
    files.map(({ path }) => path).sort(),
    [
      ...["CHANGELOG.md", "LICENSE", "README.md", "package.json"],
      ...sources.map((name) => `src/${name}`),
      ...declarations.map((name) => `types/${name}`),
    ].sort(),
  );
});

test("the exports are known", () => assert.deepEqual(Object.keys(exports), Object.keys(NAMES)));

for (const [path, names] of Object.entries(NAMES)) {
  test(`${path} exports ${names.join(", ")}, with declarations`, async () => {
    assert.deepEqual(Object.keys(await import(name + path.slice(1))), names);
    assert.ok(existsSync(new URL(exports[path].types, ROOT)), "run npm run types");
  });
}
