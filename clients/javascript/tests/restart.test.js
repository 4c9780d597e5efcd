/** @file A client that has ended or failed starts anew. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { settle } from "./support/clock.js";
import { CREATED, JOINED, REFRESHED, REFRESH_REQUIRED, inWorld } from "./support/world.js";

const PAUSED = { type: "sessionPaused", timestamp: 5000 };
const ENDED = { type: "sessionEnded", reason: "speakerEnded", timestamp: 6000 };

test(
  "a listener that joins anew forgets the status, and can send commands",
  inWorld(async (world) => {
    const listener = await world.joined();
    await world.deliver(PAUSED);
    await world.deliver(ENDED);

    const joined = await world.enter(listener.join(), { ...JOINED, status: "interrupted" });
    assert.equal(joined.status, "interrupted");
    assert.equal(listener.state, "interrupted");

    const changed = listener.changeLanguage("fr");
    await world.deliver({ type: "languageChanged", targetLanguage: "fr", timestamp: 2 });
    assert.equal(await changed, "fr");
  }),
);

test(
  "a speaker that creates another session forgets the status and the audience",
  inWorld(async (world) => {
    const speaker = await world.live();
    await world.clock.elapse(30);
    const audience = { listenerCount: 2, languages: { es: 2 } };
    await world.deliver({ type: "heartbeatAck", sessionId: "s", ...audience, timestamp: 2 });
    await world.deliver(PAUSED);
    await world.deliver(ENDED);
    assert.equal(speaker.listenerCount, 2);

    await world.enter(speaker.create("en"), CREATED);

    assert.equal(speaker.state, "live");
    assert.deepEqual([speaker.listenerCount, speaker.languages], [0, {}]);
  }),
);

test(
  "a session that isn't there any more doesn't make the next one's refusal an end",
  inWorld(async (world) => {
    const listener = await world.joined();
    await world.deliver(ENDED);
    const refused = assert.rejects(listener.join(), { code: "SESSION_NOT_FOUND" });
    await settle();
    await world.enter(refused, { type: "error", code: "SESSION_NOT_FOUND", temporary: false });
    assert.equal(listener.state, "failed");
  }),
);

test(
  "a listener that joins anew starts with short waits",
  inWorld(async (world) => {
    const listener = world.listener();
    const busy = { type: "error", code: "SESSION_FULL", temporary: true };
    const isShort = { code: "SESSION_FULL", retryAfterSeconds: 0.25 };
    await world.enter(assert.rejects(listener.join(), isShort), busy);
    await world.clock.elapse(0.25);
    await world.enter(null, { type: "error", code: "FORBIDDEN", temporary: false });
    assert.equal(listener.state, "failed");

    await world.enter(assert.rejects(listener.join(), isShort), busy);
    assert.equal(listener.state, "reconnecting");
  }),
);

test(
  "a listener that is closed doesn't take another language",
  inWorld(async (world) => {
    const listener = world.listener();
    listener.close();
    await assert.rejects(listener.changeLanguage("fr"), { code: "CLOSED" });
    assert.equal(listener.language, "es");
  }),
);

/** Join, begin a refresh, and change the language on the old connection. */
async function changedInARefresh(world) {
  const listener = await world.joined();
  const [old] = world.server.sockets;
  const french = listener.changeLanguage("fr");
  await world.clock.elapse(5);
  await world.deliver(REFRESH_REQUIRED);
  world.socket.accept();
  await settle();
  old.deliver({ type: "languageChanged", targetLanguage: "fr", timestamp: 3 });
  await french;
  return listener;
}

test(
  "a language that changed during a refresh doesn't overtake a newer choice",
  inWorld(async (world) => {
    const listener = await changedInARefresh(world);
    const german = listener.changeLanguage("de");

    await world.deliver({ ...REFRESHED, timestamp: 4 });
    await world.deliver({ type: "languageChanged", targetLanguage: "de", timestamp: 5 });

    assert.equal(await german, "de");
    const changes = world.socket.frames.slice(1).map(({ targetLanguage }) => targetLanguage);
    assert.deepEqual(changes, ["de"]);
  }),
);

test(
  "a language that changed during a refresh is sent again",
  inWorld(async (world) => {
    const listener = await changedInARefresh(world);

    await world.deliver({ ...REFRESHED, timestamp: 4 });

    assert.equal(world.socket.frames.at(-1).targetLanguage, "fr");
  }),
);
