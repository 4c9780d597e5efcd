/** @file Messages whose fields, numbers or types aren't what they have to be. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { settle } from "./support/clock.js";
import { CREATED, JOINED, REFRESHED, REFRESH_REQUIRED, SESSION, inWorld } from "./support/world.js";

const heartbeats = ({ frames }) => frames.filter(({ action }) => action === "heartbeat").length;

const ODD = [
  ...['{"type":{"toString":1}}', '{"type":"sessionPaused","timestamp":{"valueOf":1}}'],
  ...['{"type":"languageChanged"}', '{"type":"languageChanged","targetLanguage":{"x":1}}'],
  ...['{"type":"sessionStatus","status":{"toString":1}}', '{"type":7,"message":"m"}'],
  ...['{"type":"heartbeatAck"}', '{"type":"error","code":{"a":1},"__proto__":{"type":1}}'],
];

for (const text of ODD) {
  test(
    `a listener that receives ${text} stays as it is`,
    inWorld(async (world) => {
      const listener = await world.joined();
      world.socket.deliver(text);
      await world.clock.elapse(5);
      assert.equal(world.server.sockets.length, 1);
      assert.equal(listener.language, "es");
      await world.deliver({ type: "sessionPaused", timestamp: 2 });
      assert.equal(listener.state, "paused");
    }),
  );
}

for (const type of ["languageChanged", "heartbeatAck", "constructor", "captionStyleChanged"]) {
  test(
    `an answer of the type ${type} is no outcome of a join`,
    inWorld(async (world) => {
      const listener = world.listener();
      const unanswered = assert.rejects(listener.join(), { code: "NO_ANSWER" });
      await world.enter(null, { type, requestId: "1", targetLanguage: "fr", timestamp: 1 });
      assert.equal(listener.state, "connecting");
      await world.clock.elapse(10);
      await unanswered;
    }),
  );
}

test(
  "an outcome without its fields leaves what the application has given",
  inWorld(async (world) => {
    const listener = world.listener();
    const joined = await world.enter(listener.join(), { type: "sessionJoined", status: 5 });
    assert.deepEqual(joined, {
      ...{ id: SESSION, language: "es", sourceLanguage: null, status: "active" },
    });
  }),
);

const REFUSALS = [
  [{}, { code: "INTERNAL_ERROR", temporary: false, retryAfterSeconds: null }],
  [{ code: 7, temporary: "true" }, { code: "INTERNAL_ERROR", temporary: false }],
  [{ code: "FORBIDDEN", details: null }, { code: "FORBIDDEN", details: {} }],
  [{ code: "SESSION_FULL", temporary: true, retryAfter: "5" }, { retryAfterSeconds: 0.25 }],
  [{ code: "SESSION_FULL", temporary: true, retryAfter: -5 }, { retryAfterSeconds: 0.25 }],
  [{ code: "SESSION_FULL", temporary: true, retryAfter: 3e6 }, { retryAfterSeconds: 3600.25 }],
];

for (const [fields, expected] of REFUSALS) {
  test(
    `the error ${JSON.stringify(fields)} is ${JSON.stringify(expected)}`,
    inWorld(async (world) => {
      const listener = world.listener();
      const refused = assert.rejects(listener.join(), expected);
      await world.enter(refused, { type: "error", ...fields });
      listener.close();
    }),
  );
}

for (const code of ["CONNECTION_FAILED", "NO_ANSWER"]) {
  test(
    `a command that the service refuses with ${code} is sent three times, with waits`,
    inWorld(async (world) => {
      const speaker = await world.live();
      const refused = assert.rejects(speaker.pause(), { code });
      for (const seconds of [0.25, 0.5, 0]) {
        await world.deliver({ type: "error", code, temporary: true });
        await world.clock.elapse(seconds);
      }
      await refused;
      assert.equal(world.socket.frames.length, 4);
      assert.equal(speaker.state, "live");
    }),
  );
}

test(
  "a join that the service refuses with NO_ANSWER shows this code as the reason",
  inWorld(async (world) => {
    const listener = world.listener();
    const refused = assert.rejects(listener.join(), { code: "NO_ANSWER" });
    await world.enter(refused, { type: "error", code: "NO_ANSWER", temporary: true });
    assert.equal(listener.reason, "NO_ANSWER");
  }),
);

for (const heartbeatSeconds of [3e6, 3601, 0.9, 1e-9, -1, "5", null, { valueOf: 1 }]) {
  test(
    `the interval ${JSON.stringify(heartbeatSeconds)} is ignored`,
    inWorld(async (world) => {
      const listener = world.listener();
      await world.enter(listener.join(), { ...JOINED, heartbeatSeconds });
      await world.clock.elapse(29.9);
      assert.equal(heartbeats(world.socket), 0);
      await world.clock.elapse(0.1);
      assert.equal(heartbeats(world.socket), 1);
    }),
  );
}

for (const graceSeconds of [3e6, -1, "5", {}]) {
  test(
    `the grace period ${JSON.stringify(graceSeconds)} is ignored`,
    inWorld(async (world) => {
      await world.joined();
      await world.deliver({ type: "sessionInterrupted", graceSeconds, timestamp: 2 });
      await world.clock.elapse(31);
      await world.deliver({ type: "heartbeatAck", sessionId: SESSION, timestamp: 3 });
      await world.clock.elapse(30);
      await world.deliver({ type: "heartbeatAck", sessionId: SESSION, timestamp: 4 });
      assert.equal(world.server.sockets.length, 1);
      await world.clock.elapse(9);
      assert.equal(world.server.sockets.length, 2);
    }),
  );
}

test(
  "what follows an outcome at once counts",
  inWorld(async (world) => {
    const listener = world.listener();
    const states = [];
    listener.on("state", ({ state }) => states.push(state));
    const joined = listener.join();
    await world.enter(null, { type: "none" });
    world.socket.deliver(JOINED);
    world.socket.deliver(REFRESH_REQUIRED);
    await joined;
    await world.clock.elapse(0.25);
    await world.enter(null, REFRESHED);
    assert.deepEqual(states, ["connecting", "joined", "refreshing", "joined"]);
  }),
);

test(
  "a connection that is lost with the outcome is replaced",
  inWorld(async (world) => {
    const listener = world.listener();
    const joined = listener.join();
    await world.enter(null, { type: "none" });
    world.socket.deliver(JOINED);
    world.socket.drop(1001);
    await joined;
    assert.equal(listener.reason, "connectionLost");
    await world.clock.elapse(0.25);
    await world.enter(null, REFRESHED);
    assert.equal(listener.state, "joined");
  }),
);

test(
  "an audience in another order is the same, and an odd one is empty",
  inWorld(async (world) => {
    const speaker = await world.live();
    const events = [];
    speaker.on("audience", (event) => events.push(event));
    const odd = [{ fr: "3" }, ["fr"], { fr: 3, es: null }];
    for (const languages of [{ es: 1, fr: 2 }, { fr: 2, es: 1 }, { fr: 3 }, ...odd]) {
      await world.clock.elapse(30);
      const counts = { listenerCount: 3, languages };
      await world.deliver({ type: "heartbeatAck", sessionId: "s", ...counts, timestamp: 2 });
    }
    assert.deepEqual(
      events.map(({ languages }) => languages),
      [{ es: 1, fr: 2 }, { fr: 3 }, {}],
    );
  }),
);

test(
  "commands that wait for a session that isn't created are rejected",
  inWorld(async (world) => {
    const speaker = world.speaker();
    const created = assert.rejects(speaker.create("en"), { code: "SESSION_FULL" });
    const paused = assert.rejects(speaker.pause(), { code: "NO_SESSION", temporary: false });
    await world.enter(created, { type: "error", code: "SESSION_FULL", temporary: true });
    await paused;
    await world.enter(speaker.create("en"), CREATED);
    assert.deepEqual(world.socket.frames.length, 1);
  }),
);

for (const requestId of [null, 5, {}]) {
  test(
    `the request ID ${JSON.stringify(requestId)} counts as missing`,
    inWorld(async (world) => {
      const listener = await world.joined();
      await world.deliver(JSON.stringify({ type: "sessionPaused", requestId, timestamp: 2 }));
      assert.equal(listener.state, "paused");
    }),
  );
}

test(
  "a binary frame is ignored",
  inWorld(async (world) => {
    const listener = await world.joined();
    const data = Buffer.from(JSON.stringify({ type: "sessionPaused", timestamp: 2 }));
    world.socket.onmessage({ data });
    await settle();
    assert.equal(listener.state, "joined");
  }),
);

const NOW = 1_795_708_800_000;
const HOUR = 3_600_000;

test(
  "a timestamp that is more than an hour ahead counts as missing",
  inWorld(async (world) => {
    const listener = await world.joined();
    await world.deliver({ type: "sessionPaused", timestamp: NOW + HOUR + 1 });
    assert.equal(listener.state, "paused");
    await world.deliver({ type: "sessionResumed", timestamp: NOW + HOUR });
    assert.equal(listener.state, "joined");

    const speaker = await world.live();
    for (const [inviteCode, timestamp] of Object.entries({ one: NOW + HOUR + 1, two: NOW })) {
      const rotated = speaker.rotateInviteCode();
      await world.deliver({ type: "inviteCodeRotated", inviteCode, timestamp });
      await rotated;
      assert.equal(speaker.inviteCode, inviteCode);
    }
  }),
);

test(
  "the status after a lost connection counts, whatever its timestamp",
  inWorld(async (world) => {
    const listener = await world.joined();
    await world.deliver({ type: "sessionPaused", timestamp: NOW + HOUR });
    await world.drop();
    await world.clock.elapse(1);
    await world.enter(null, { ...REFRESHED, status: "active", timestamp: NOW });
    assert.equal(listener.state, "joined");
    await world.deliver({ type: "sessionPaused", timestamp: NOW - 1 });
    assert.equal(listener.state, "joined");
  }),
);

for (const role of ["listener", "speaker"]) {
  test(
    `a ${role} that is asked to refresh soon after it has entered waits`,
    inWorld(async (world) => {
      const client = await (role === "listener" ? world.joined() : world.live());
      for (const [count, wait] of [0.25, 0.5, 1, 2].entries()) {
        await world.deliver(REFRESH_REQUIRED);
        await world.clock.elapse(wait - 0.01);
        assert.equal(world.server.sockets.length, 1 + count);
        await world.clock.elapse(0.01);
        assert.equal(client.state, "refreshing");
        await world.enter(null, { ...REFRESHED, inviteCode: "code" });
        assert.equal(world.server.open.length, 1);
      }
      await world.clock.elapse(5);
      await world.deliver(REFRESH_REQUIRED);
      assert.equal(client.state, "refreshing");
      client.close();
    }),
  );
}
