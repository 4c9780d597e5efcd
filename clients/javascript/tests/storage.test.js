/** @file A page leaves its seat or its session to the page after it, and to no other. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { settle } from "./support/clock.js";
import { FakeStorage } from "./support/browser.js";
import { CREATED, JOINED, SESSION, URL_OF_SERVICE, inWorld } from "./support/world.js";

const KEY = "broadcast-sessions-client.entries";

/** The page is reloaded, and all its clients are gone. */
function reload(world) {
  world.browser.leave();
  world.server.disconnectAll();
  world.clock.clear();
  world.browser.load();
}

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
    storage.setItem(KEY, "{");
    storage.setItem = () => {
      throw new Error("QuotaExceededError");
    };
    const listener = await world.joined({ storage });
    world.browser.leave();
    assert.equal(listener.state, "joined");
  }),
);

const ENTRY = { url: URL_OF_SERVICE, session: SESSION, connectionId: "c1", language: "fr" };

for (const value of [5, null, {}, [5, null, "x"], ENTRY, [{ ...ENTRY, connectionId: { a: 1 } }]]) {
  const text = JSON.stringify(value);
  test(
    `the entry ${text} counts as none`,
    inWorld(async (world) => {
      sessionStorage.setItem(KEY, text);
      assert.equal((await firstFrame(world)).action, "joinSession");
      assert.equal(world.speaker().lastSession, null);
    }),
  );
}

test(
  "a storage that throws counts as empty",
  inWorld(async (world) => {
    const fail = () => {
      throw new Error("SecurityError");
    };
    const storage = { getItem: fail, setItem: fail, removeItem: fail };
    assert.equal((await firstFrame(world, { storage })).action, "joinSession");
    assert.equal(world.speaker({ storage }).lastSession, null);
    world.browser.leave();
    world.browser.restore();
  }),
);

test(
  "a page knows the language of the seat before it joins, and can choose another",
  inWorld(async (world) => {
    const listener = await world.joined();
    listener.changeLanguage("fr");
    await world.deliver({ type: "languageChanged", targetLanguage: "fr", timestamp: 2 });
    world.browser.leave();
    world.browser.load();

    const next = world.listener();
    assert.equal(next.language, "fr");
    assert.equal(await next.changeLanguage("de"), "de");
    next.join().catch(() => {});
    world.socket.accept();
    await settle();
    const [{ connectionId, targetLanguage }] = world.socket.frames;
    assert.deepEqual([connectionId, targetLanguage], ["c1", "de"]);
  }),
);

test(
  "each listener of a page takes its own seat",
  inWorld(async (world) => {
    const join = async (connectionId, options) => {
      const listener = world.listener(options);
      const { session: sessionId = SESSION, language: targetLanguage } = options;
      const outcome = { ...JOINED, connectionId, sessionId, targetLanguage };
      await world.enter(listener.join(), outcome);
    };
    await join("spanish", { language: "es" });
    await join("french", { language: "fr" });
    await join("other", { language: "fr", session: "brave-tiger-101" });
    world.browser.leave();
    world.browser.load();

    const seats = [];
    for (const options of [
      { language: "fr" },
      { language: "de" },
      { language: "fr", session: "brave-tiger-101" },
      { language: "es" },
    ]) {
      seats.push((await firstFrame(world, options)).connectionId);
    }
    assert.deepEqual(seats, ["french", "spanish", "other", undefined]);
  }),
);

test(
  "a listener that doesn't join leaves the seat to another one",
  inWorld(async (world) => {
    await world.joined();
    world.browser.leave();
    world.browser.load();

    world.listener();
    assert.equal((await firstFrame(world)).connectionId, "c1");
    assert.equal((await firstFrame(world)).connectionId, undefined);
  }),
);

test(
  "each speaker of a page learns its own session",
  inWorld(async (world) => {
    await world.live();
    await world.enter(world.speaker().create("en"), { ...CREATED, sessionId: "brave-tiger-101" });
    world.browser.leave();
    world.browser.load();

    const sessions = [world.speaker(), world.speaker(), world.speaker()];
    assert.deepEqual(
      sessions.map(({ lastSession }) => lastSession),
      [SESSION, "brave-tiger-101", null],
    );
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

test(
  "pages that are reloaded before they join or take over lose nothing",
  inWorld(async (world) => {
    await world.joined();
    await world.live();
    for (let count = 0; count < 3; count++) {
      reload(world);
      world.listener();
      assert.equal(world.speaker().lastSession, SESSION);
      assert.equal(sessionStorage.size, 0);
    }
    assert.equal((await firstFrame(world)).connectionId, "c1");
  }),
);

test(
  "pages that are reloaded while they join or take over lose nothing",
  inWorld(async (world) => {
    await world.joined();
    await world.live();
    for (let count = 0; count < 3; count++) {
      reload(world);
      assert.equal((await firstFrame(world)).connectionId, "c1");
      const speaker = world.speaker();
      assert.equal(speaker.lastSession, SESSION);
      speaker.takeOver(speaker.lastSession).catch(() => {});
      await settle();
      assert.equal(sessionStorage.size, 0);
    }
    reload(world);
    const sessions = [world.speaker(), world.speaker()].map(({ lastSession }) => lastSession);
    assert.deepEqual(sessions, [SESSION, null]);
  }),
);

test(
  "a seat that a client has used up isn't left again",
  inWorld(async (world) => {
    await world.joined();
    await world.live();
    reload(world);
    const [listener, speaker] = [world.listener(), world.speaker()];
    for (const enter of [() => listener.join(), () => speaker.takeOver(speaker.lastSession)]) {
      const refused = assert.rejects(enter(), { code: "SESSION_NOT_FOUND" });
      await settle();
      world.socket.accept();
      await world.deliver({ type: "error", code: "SESSION_NOT_FOUND", temporary: false });
      await refused;
    }
    world.browser.leave();
    assert.equal(sessionStorage.size, 0);
  }),
);

test(
  "a page takes the entries out of the storage when it is loaded, and leaves them again",
  inWorld(async (world) => {
    await world.joined();
    reload(world);
    const text = sessionStorage.getItem(KEY);
    await import("../src/entries.js?the next page");
    assert.equal(sessionStorage.size, 0);
    world.browser.leave();
    assert.equal(sessionStorage.getItem(KEY), text);
  }),
);
