/** @file The queue of the application's commands, and its bounds. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { inWorld } from "./support/world.js";

test(
  "a 101st command that waits is rejected and counted",
  inWorld(async (world) => {
    const speaker = await world.live();
    await world.drop();
    const waiting = Array.from({ length: 100 }, () => speaker.pause());
    await assert.rejects(speaker.resume(), { code: "QUEUE_FULL", temporary: true });
    assert.deepEqual(speaker.queue, { length: 100, dropped: 1 });

    speaker.close();
    const settled = await Promise.allSettled(waiting);
    assert.ok(settled.every(({ reason }) => reason.code === "CLOSED"));
    assert.deepEqual(speaker.queue, { length: 0, dropped: 1 });
  }),
);

test(
  "a speaker that has a session can't have another",
  inWorld(async (world) => {
    const speaker = await world.live();
    await assert.rejects(speaker.create("en"), { code: "CONFLICT", temporary: false });
    await assert.rejects(speaker.takeOver("brave-tiger-101"), { code: "CONFLICT" });
    assert.equal(speaker.state, "live");
  }),
);
