/** @file Captions wait for a handler, and come once. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { REFRESHED, REFRESH_REQUIRED, inWorld } from "./support/world.js";

const caption = (number) => ({ type: "caption", text: `caption ${number}`, timestamp: number });

test(
  "captions without a handler are buffered, and the oldest of more than 100 are dropped",
  inWorld(async (world) => {
    const listener = await world.joined();
    for (let number = 1; number <= 102; number += 1) await world.deliver(caption(number));
    assert.deepEqual(listener.buffer, { length: 100, dropped: 2 });

    const texts = [];
    listener.on("caption", ({ text }) => texts.push(text));
    await world.deliver(caption(103));

    assert.equal(texts.length, 101);
    assert.equal(texts[0], "caption 3");
    assert.equal(texts[100], "caption 103");
    assert.deepEqual(listener.buffer, { length: 0, dropped: 2 });
  }),
);

test(
  "a caption that arrives on both connections of a refresh comes once",
  inWorld(async (world) => {
    const listener = await world.joined();
    const texts = [];
    listener.on("caption", ({ text }) => texts.push(text));
    const [old] = world.server.sockets;
    await world.deliver(REFRESH_REQUIRED);
    old.deliver(caption(1));
    old.deliver(caption(2));

    await world.enter(null, { ...REFRESHED, timestamp: 3 });
    await world.deliver(caption(2));
    await world.deliver(caption(3));

    assert.deepEqual(texts, ["caption 1", "caption 2", "caption 3"]);
  }),
);
