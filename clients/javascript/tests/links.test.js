/** @file Links that invite listeners. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { inviteLink, readInviteLink } from "../src/index.js";

const SESSION = { id: "golden-eagle-427", inviteCode: "b3FQvY0mJ0h1VnKx" };
const PAGE = "https://listen.example.org/";
const LINK = "https://listen.example.org/#golden-eagle-427/b3FQvY0mJ0h1VnKx";

/** Links, and what both clients read in them. */
const CASES = JSON.parse(readFileSync(new URL("../../invite_links.json", import.meta.url), "utf8"));

test("a link has the session and the code after the #", () => {
  assert.equal(inviteLink(PAGE, SESSION), LINK);
  assert.equal(inviteLink(new URL(`${PAGE}#old`), SESSION), LINK);
});

test("a link is read as it was made, whatever the code contains", () => {
  for (const inviteCode of ["b3FQ", "a/b", "a b", "ä%2F", "+=?#"]) {
    const link = inviteLink(PAGE, { ...SESSION, inviteCode });
    assert.deepEqual(readInviteLink(link), { session: SESSION.id, invite: inviteCode });
  }
});

for (const { link, invitation } of CASES) {
  test(`"${link}" is read as both clients read it`, () => {
    assert.deepEqual(readInviteLink(link), invitation);
  });
}
