/** @file Links that invite listeners. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { inviteLink, readInviteLink } from "../src/index.js";

const SESSION = { id: "golden-eagle-427", inviteCode: "b3FQvY0mJ0h1VnKx" };
const PAGE = "https://listen.example.org/";
const LINK = "https://listen.example.org/#golden-eagle-427/b3FQvY0mJ0h1VnKx";

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

test("a link can have no code", () => {
  const expected = { session: "golden-eagle-427", invite: null };
  assert.deepEqual(readInviteLink(`${PAGE}#golden-eagle-427`), expected);
  assert.deepEqual(readInviteLink(`${PAGE}#golden-eagle-427/`), expected);
});

test("other links name no session", () => {
  for (const link of [PAGE, `${PAGE}#about`, `${PAGE}#%`, `${PAGE}#a-b-1/c`, "golden-eagle-427"]) {
    assert.equal(readInviteLink(link), null);
  }
});
