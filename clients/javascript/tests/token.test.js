/** @file The callback that gives a speaker's tokens. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { SessionError } from "../src/index.js";
import { settle } from "./support/clock.js";
import { REFRESHED, SESSION, inWorld } from "./support/world.js";

/** Return a token callback that gives these answers, one each time. It throws an error. */
const inTurn = (answers) => async () => {
  const answer = answers.shift();
  if (answer instanceof Error) throw answer;
  return answer;
};

test(
  "a callback that takes more than 30 s is a temporary failure",
  inWorld(async (world) => {
    const speaker = world.speaker({ token: () => new Promise(() => {}) });
    const refused = assert.rejects(speaker.create("en"), { code: "TOKEN_FAILED", temporary: true });
    await world.clock.elapse(29.9);
    assert.equal(speaker.state, "connecting");
    await world.clock.elapse(0.1);
    await refused;
    assert.equal(speaker.state, "idle");
    assert.deepEqual(world.reported, ["The token callback took more than 30 s"]);
    assert.deepEqual(world.alive, { timers: 0, listeners: 0 });
  }),
);

test(
  "a callback that rejects while the client reconnects is reported, and asked again",
  inWorld(async (world) => {
    const answers = ["t1", new Error("offline"), "t2"];
    const speaker = await world.live({ token: inTurn(answers) });
    await world.drop();
    await world.clock.elapse(0.25);
    assert.equal(speaker.reason, "tokenFailed");
    assert.deepEqual(world.reported, ["offline"]);
    await world.clock.elapse(0.5);
    assert.equal(world.socket.url.searchParams.get("token"), "t2");
  }),
);

test(
  "a sign-in that can't be reached for now is reported, and asked again",
  inWorld(async (world) => {
    const offline = new SessionError("CONNECTION_FAILED", "no network", { temporary: true });
    const speaker = world.speaker({ token: () => Promise.reject(offline) });
    await assert.rejects(speaker.takeOver(SESSION), { code: "TOKEN_FAILED", temporary: true });
    assert.equal(speaker.reason, "tokenFailed");
    assert.deepEqual(world.reported, ["no network"]);
    speaker.close();
  }),
);

test(
  "a token that comes after close() opens nothing",
  inWorld(async (world) => {
    let give;
    const speaker = world.speaker({ token: () => new Promise((resolve) => (give = resolve)) });
    const refused = assert.rejects(speaker.create("en"), { code: "CLOSED" });
    await settle();
    speaker.close();
    give("t1");
    await refused;
    await settle();
    assert.deepEqual(world.reported, []);
    assert.equal(world.server.sockets.length, 0);
  }),
);

test(
  "a connection that doesn't open in time says nothing about the token",
  inWorld(async (world) => {
    const speaker = world.speaker();
    const refused = assert.rejects(speaker.create("en"), { code: "CONNECTION_FAILED" });
    await settle();
    await world.clock.elapse(10);
    await refused;
    assert.equal(world.server.sockets.length, 1);
  }),
);

for (const value of [undefined, null, "", 5, { token: "SECRET" }]) {
  test(
    `a callback that returns ${JSON.stringify(value)} is a temporary failure`,
    inWorld(async (world) => {
      const speaker = world.speaker({ token: async () => value });
      const failure = { code: "TOKEN_FAILED", temporary: true };
      await assert.rejects(speaker.create("en"), failure);
      assert.equal(world.server.sockets.length, 0);
      assert.deepEqual(world.reported, ["The token callback must return a text that isn't empty"]);
    }),
  );
}

test(
  "a speaker that is closed at once doesn't ask for a token",
  inWorld(async (world) => {
    let asked = 0;
    const speaker = world.speaker({ token: () => `t${++asked}` });
    const refused = assert.rejects(speaker.create("en"), { code: "CLOSED" });
    speaker.close();
    await refused;
    await settle();
    assert.equal(asked, 0);
    assert.deepEqual(world.reported, []);
  }),
);

/** @param {object} claims */
const tokenWith = (claims) =>
  `e30.${Buffer.from(JSON.stringify(claims)).toString("base64url")}.signature`;

/** Refuse the next attempt of a speaker, and open the probe without a token. */
async function refuse(world) {
  await settle();
  world.socket.refuse();
  await settle();
  world.socket.accept();
  await settle();
}

const VALID = tokenWith({ exp: 1_795_708_800 + 3600, name: "ü?>" });

test(
  "a token that names a later expiry is tried again after a refusal, in a session",
  inWorld(async (world) => {
    const speaker = await world.live({ token: VALID });
    await world.drop();
    await world.clock.elapse(0.25);
    for (let attempt = 0; attempt < 5; attempt++) {
      await refuse(world);
      assert.deepEqual([speaker.state, speaker.reason], ["reconnecting", "CONNECTION_FAILED"]);
      await world.clock.elapse(10);
    }
    world.socket.accept();
    await world.deliver(REFRESHED);
    assert.equal(speaker.state, "live");
  }),
);

const EXPIRED = tokenWith({ exp: 1_795_708_799 });

for (const token of [EXPIRED, tokenWith({}), tokenWith({ exp: "2100" }), "a.b.c", "e30.bnVsbA.c"]) {
  test(
    `the token ${token} is final when it is refused in a session`,
    inWorld(async (world) => {
      const speaker = await world.live({ token });
      await world.drop();
      await world.clock.elapse(0.25);
      await refuse(world);
      await refuse(world);
      assert.deepEqual([speaker.state, speaker.reason], ["failed", "UNAUTHORIZED"]);
    }),
  );
}

test(
  "a token that is refused before there is a session is final, whatever expiry it names",
  inWorld(async (world) => {
    const speaker = world.speaker({ token: VALID });
    const refused = assert.rejects(speaker.takeOver(SESSION), { code: "UNAUTHORIZED" });
    await refuse(world);
    await refuse(world);
    await refused;
  }),
);

test(
  "a callback's final error is a failure, whatever its code",
  inWorld(async (world) => {
    const answers = ["t1", new SessionError("SESSION_NOT_FOUND", "no account")];
    const speaker = await world.live({ token: inTurn(answers) });
    await world.drop();
    await world.clock.elapse(0.25);
    assert.deepEqual([speaker.state, speaker.reason], ["failed", "SESSION_NOT_FOUND"]);
  }),
);
