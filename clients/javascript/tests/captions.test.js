/** @file Captions wait for a handler. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { inWorld } from "./support/world.js";

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
