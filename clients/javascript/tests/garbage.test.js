/** @file No frame makes a client throw, or changes its state without reason. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { inWorld } from "./support/world.js";

const GARBAGE = [
  ...["", "{", "null", "true", "7", '"text"', "[]", "[1]", "{}", '{"type":null}', '{"type":7}'],
  ...['{"type":"__proto__"}', '{"type":"constructor","status":"constructor"}', "\u0000"],
  ...['{"message":"Internal server error","connectionId":"c1","requestId":"r1"}'],
  ...[
    '{"type":"error"}',
    '{"type":"error","code":7,"requestId":[]}',
    '{"type":"connectionWarning"}',
  ],
  ...['{"type":"heartbeatAck","requestId":"99","heartbeatSeconds":"soon"}'],
  ...['{"type":"sessionStatus","status":{"a":1},"timestamp":"x"}'],
  "x".repeat(131_072),
];

for (const role of ["joined", "live"]) {
  test(
    `garbage leaves a client ${role}`,
    inWorld(async (world) => {
      const client = await world[role]();
      const events = [];
      client.on("state", (event) => events.push(event));

      for (const text of GARBAGE) await world.deliver(text);
      world.socket.onmessage({ data: new Blob(["binary"]) });
      await world.clock.elapse(30);

      assert.deepEqual(events, []);
      assert.equal(world.socket.frames.at(-1).action, "heartbeat");
    }),
  );
}

test(
  "an acknowledgement with a useless interval keeps the last one",
  inWorld(async (world) => {
    await world.joined();
    for (const heartbeatSeconds of ["soon", null, 0, -5]) {
      await world.clock.elapse(30);
      await world.deliver({ type: "heartbeatAck", sessionId: "s", heartbeatSeconds, timestamp: 2 });
    }
    const heartbeats = world.socket.frames.filter(({ action }) => action === "heartbeat");
    assert.equal(heartbeats.length, 4);
  }),
);
