/** @file A page leaves its seat or its session to the page after it, and to no other. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { settle } from "./support/clock.js";
import { FakeStorage } from "./support/browser.js";
import { CREATED, SESSION, inWorld } from "./support/world.js";

/** The first command of a listener that joins. */
async function firstFrame(world, options) {
  const listener = world.listener(options);
  listener.join().catch(() => {});
  await settle();
  world.socket.accept();
  await settle();
  return world.socket.frames[0];
}

test(
  "nothing is stored while the page is there, so that a duplicated tab joins anew",
  inWorld(async (world) => {
    await world.joined();
    assert.equal(sessionStorage.size, 0);
    assert.equal((await firstFrame(world)).action, "joinSession");
  }),
);

test(
  "the next page takes the seat, with the language and the invite code",
  inWorld(async (world) => {
    const listener = await world.joined({ invite: "code" });
    listener.changeLanguage("fr");
    await world.deliver({ type: "languageChanged", targetLanguage: "fr", timestamp: 2 });
    world.browser.leave();
    world.browser.load();

    assert.deepEqual(await firstFrame(world), {
      ...{ action: "refreshConnection", role: "listener", sessionId: SESSION },
      ...{ targetLanguage: "fr", connectionId: "c1", inviteCode: "code" },
    });
    assert.equal(sessionStorage.size, 0);
    assert.equal((await firstFrame(world)).action, "joinSession");
  }),
);

test(
  "another session's entry is not used",
  inWorld(async (world) => {
    await world.joined();
    world.browser.leave();
    world.browser.load();

    const frame = await firstFrame(world, { session: "brave-tiger-101" });

    assert.equal(frame.action, "joinSession");
    assert.equal(sessionStorage.size, 0);
  }),
);

test(
  "a page that comes back from the browser's cache keeps its seat to itself",
  inWorld(async (world) => {
    await world.joined();
    world.browser.leave();
    assert.equal(sessionStorage.size, 1);
    world.browser.restore();
    assert.equal(sessionStorage.size, 0);
  }),
);

test(
  "a page in a session that has ended stores nothing",
  inWorld(async (world) => {
    await world.joined();
    await world.deliver({ type: "sessionEnded", reason: "speakerEnded", timestamp: 2 });
    world.browser.leave();
    assert.equal(sessionStorage.size, 0);
  }),
);

test(
  "a storage that is full or holds garbage changes nothing",
  inWorld(async (world) => {
    const storage = new FakeStorage();
    storage.setItem("broadcast-sessions-client.listener", "{");
    storage.setItem = () => {
      throw new Error("QuotaExceededError");
    };
    const listener = await world.joined({ storage });
    world.browser.leave();
    assert.equal(listener.state, "joined");
  }),
);

test(
  "the option storage replaces sessionStorage, and null stands for none",
  inWorld(async (world) => {
    const storage = new FakeStorage();
    await world.joined({ storage });
    await world.joined({ storage: null });
    world.browser.leave();
    assert.equal(storage.size, 1);
    assert.equal(sessionStorage.size, 0);
  }),
);

test(
  "a speaker's next page learns the session",
  inWorld(async (world) => {
    assert.equal((await world.live()).lastSession, null);
    world.browser.leave();
    world.browser.load();

    const speaker = world.speaker();
    assert.equal(speaker.lastSession, SESSION);
    assert.equal(world.speaker().lastSession, null);

    const refreshed = { ...CREATED, type: "connectionRefreshComplete", status: "paused" };
    const session = await world.enter(speaker.takeOver(speaker.lastSession), refreshed);
    assert.deepEqual(session, { id: SESSION, inviteCode: "code", status: "paused" });
    assert.equal(speaker.state, "paused");
  }),
);
