/** @file Handlers of the application can't harm a client. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { settle } from "./support/clock.js";
import { JOINED, inWorld } from "./support/world.js";

test(
  "a handler that throws is reported, and the others are called",
  inWorld(async (world) => {
    const listener = world.listener();
    const states = [];
    listener.on("state", ({ state }) => {
      throw new Error(`a bug while ${state}`);
    });
    listener.on("state", ({ state }) => states.push(state));

    await world.enter(listener.join(), JOINED);

    assert.deepEqual(states, ["connecting", "joined"]);
    assert.deepEqual(world.reported, ["a bug while connecting", "a bug while joined"]);
    assert.equal(listener.state, "joined");
  }),
);

test(
  "a handler whose promise rejects is reported",
  inWorld(async (world) => {
    const listener = await world.joined();
    listener.on("state", async () => {
      throw new Error("a bug");
    });

    await world.drop();

    assert.deepEqual(world.reported, ["a bug"]);
  }),
);

test(
  "console.error reports where there is no reportError",
  inWorld(async (world) => {
    delete globalThis.reportError;
    const { error: original } = console;
    console.error = (error) => world.reported.push(error.message);
    try {
      const listener = await world.joined();
      listener.on("state", () => {
        throw new Error("a bug");
      });
      await world.drop();
    } finally {
      console.error = original;
    }
    assert.deepEqual(world.reported, ["a bug"]);
  }),
);

test(
  "a handler that closes the client gets one more event",
  inWorld(async (world) => {
    const listener = await world.joined();
    const events = [];
    listener.on("state", ({ state }) => {
      events.push(state);
      listener.close();
    });

    await world.drop();
    await world.clock.elapse(60);

    assert.deepEqual(events, ["reconnecting", "ended"]);
  }),
);

test(
  "a removed handler isn't called, not even for an event on its way",
  inWorld(async (world) => {
    const listener = await world.joined();
    const events = [];
    const remove = listener.on("state", (event) => events.push(event));

    world.socket.drop(1006);
    remove();
    await settle();

    assert.deepEqual(events, []);
  }),
);

test(
  "a reportError that throws harms nothing",
  inWorld(async (world) => {
    const tokens = ["t1"];
    const token = () => {
      if (!tokens.length) throw new Error("offline");
      return tokens.shift();
    };
    const speaker = await world.live({ token });
    const states = [];
    speaker.on("state", () => {
      throw new Error("a bug");
    });
    speaker.on("state", ({ reason }) => states.push(reason));
    globalThis.reportError = () => {
      throw new Error("a bug in the report");
    };
    await world.drop();
    await world.clock.elapse(0.25);
    assert.equal(speaker.reason, "tokenFailed");
    assert.equal(states.at(-1), "tokenFailed");
  }),
);

test(
  "a handler that changes its event changes nothing else",
  inWorld(async (world) => {
    const speaker = await world.live();
    const seen = [];
    speaker.on("audience", (event) => {
      event.listenerCount = 5;
      event.languages.de = Symbol("a bug");
    });
    speaker.on("audience", ({ listenerCount }) => seen.push(listenerCount));
    const status = { type: "sessionStatus", listenerCount: 1, languages: { es: 1 } };
    for (let count = 0; count < 2; count++) {
      const answered = speaker.status();
      await world.deliver({ ...status, status: "active" });
      (await answered).languages.fr = 7;
    }
    assert.deepEqual(speaker.languages, { es: 1 });
    assert.equal(speaker.listenerCount, 1);
    assert.deepEqual(seen, [1]);
  }),
);
