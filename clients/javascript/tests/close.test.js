/** @file Nothing of a client is alive once it has ended. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { settle } from "./support/clock.js";
import { INTERRUPTED, REFRESHED, REFRESH_REQUIRED, inWorld } from "./support/world.js";

const NOTHING = { timers: 0, listeners: 0 };

const situations = {
  "before the first call": (world) => world.listener(),
  "while the first connection opens": async (world) => {
    const listener = world.listener();
    listener.join().catch(() => {});
    await settle();
    return listener;
  },
  "in a session": (world) => world.joined(),
  "as a speaker": (world) => world.live(),
  "while a heartbeat waits": async (world) => {
    const listener = await world.joined();
    await world.clock.elapse(30);
    return listener;
  },
  "while a command waits": async (world) => {
    const listener = await world.joined();
    listener.changeLanguage("fr").catch(() => {});
    await settle();
    return listener;
  },
  "while a command waits to be sent again": async (world) => {
    const listener = await world.joined();
    listener.changeLanguage("fr").catch(() => {});
    await world.deliver({ type: "error", code: "INTERNAL_ERROR", temporary: true });
    return listener;
  },
  "while a second connection opens": async (world) => {
    const listener = await world.joined();
    await world.clock.elapse(5);
    await world.deliver(REFRESH_REQUIRED);
    return listener;
  },
  "after a refresh": async (world) => {
    const listener = await world.joined();
    await world.clock.elapse(5);
    await world.deliver(REFRESH_REQUIRED);
    await world.enter(null, REFRESHED);
    return listener;
  },
  "in an interruption": async (world) => {
    const listener = await world.joined();
    await world.deliver(INTERRUPTED);
    return listener;
  },
  "while the client waits": async (world) => {
    const listener = await world.joined();
    await world.drop();
    return listener;
  },
  "while the client waits for a visible page": async (world) => {
    const listener = await world.joined();
    world.browser.hide();
    await world.drop();
    return listener;
  },
  "while the token callback is asked": async (world) => {
    const speaker = world.speaker({ token: () => new Promise(() => {}) });
    speaker.create("en").catch(() => {});
    await settle();
    return speaker;
  },
  "while a connection without a token opens": async (world) => {
    const speaker = world.speaker();
    speaker.create("en").catch(() => {});
    await settle();
    world.socket.refuse();
    await settle();
    return speaker;
  },
};

for (const [situation, arrange] of Object.entries(situations)) {
  const run = inWorld(async (world) => {
    const client = await arrange(world);
    const states = [];
    client.on("state", ({ state, reason }) => states.push(`${state} ${reason}`));

    client.close();
    client.close();
    await settle();

    assert.deepEqual(world.alive, NOTHING);
    assert.equal(world.server.open.length, 0);
    const opened = world.server.sockets.length;
    world.browser.show();
    world.browser.online();
    await world.clock.elapse(3600);
    assert.equal(world.server.sockets.length, opened);
    assert.deepEqual(states, ["ended closed"]);
  });
  test(`close() ${situation} leaves nothing alive`, run);
}

const endings = {
  "the session has ended": { type: "sessionEnded", reason: "speakerEnded", timestamp: 3 },
  "the service has refused a refresh": null,
};

for (const [ending, message] of Object.entries(endings)) {
  const run = inWorld(async (world) => {
    await world.joined();
    await world.deliver(INTERRUPTED);
    if (message) {
      await world.deliver(message);
    } else {
      await world.drop();
      await world.clock.elapse(0.25);
      const refusal = { type: "error", code: "FORBIDDEN", temporary: false };
      await world.enter(null, refusal);
    }
    assert.deepEqual(world.alive, NOTHING);
    assert.equal(world.server.open.length, 0);
  });
  test(`nothing is alive after ${ending}`, run);
}

test(
  "a create() that fails leaves nothing alive",
  inWorld(async (world) => {
    const refused = assert.rejects(world.speaker().create("en"), { code: "SERVICE_UNAVAILABLE" });
    await world.enter(refused, { type: "error", code: "SERVICE_UNAVAILABLE", temporary: true });
    assert.deepEqual(world.alive, NOTHING);
    assert.equal(world.server.open.length, 0);
  }),
);
