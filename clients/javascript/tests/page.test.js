/** @file A page that is hidden, plays sound, or comes back. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { settle } from "./support/clock.js";
import { JOINED, REFRESHED, REFRESH_REQUIRED, SESSION, inWorld } from "./support/world.js";

const ACKNOWLEDGEMENT = { type: "heartbeatAck", requestId: "2", sessionId: SESSION };

test(
  "a hidden page that plays sound reconnects",
  inWorld(async (world) => {
    const listener = await world.joined();
    listener.playing = true;
    world.browser.hide();

    await world.drop();
    assert.equal(listener.reason, "connectionLost");
    await world.clock.elapse(0.25);
    await world.enter(null, REFRESHED);

    assert.equal(listener.state, "joined");
  }),
);

test(
  "a hidden page that falls silent stops dialling",
  inWorld(async (world) => {
    const listener = await world.joined();
    listener.playing = true;
    world.browser.hide();
    await world.drop();

    listener.playing = false;
    await world.clock.elapse(3600);

    assert.equal(listener.reason, "hidden");
    assert.equal(world.server.sockets.length, 1);
  }),
);

test(
  "a refresh waits until a hidden page is visible, while its connection works",
  inWorld(async (world) => {
    const listener = await world.joined();
    world.browser.hide();
    await world.clock.elapse(5);
    await world.deliver(REFRESH_REQUIRED);
    await world.clock.elapse(5);
    assert.equal(listener.state, "joined");
    assert.equal(world.server.sockets.length, 1);

    world.browser.show();
    assert.equal(listener.state, "refreshing");
    await world.enter(null, REFRESHED);

    assert.equal(listener.state, "joined");
    assert.equal(world.server.open.length, 1);
  }),
);

test(
  "a page from the browser's cache dials at once",
  inWorld(async (world) => {
    await world.joined();
    await world.drop();
    world.browser.restore();
    await settle();
    assert.equal(world.server.sockets.length, 2);
  }),
);

test(
  "a connection that turns out to be lost when the page is back is replaced at once",
  inWorld(async (world) => {
    const listener = await world.joined();
    world.browser.hide();
    world.browser.show();
    await world.drop();
    assert.equal(world.server.sockets.length, 2);
    await world.enter(null, REFRESHED);

    await world.drop();
    assert.equal(listener.reason, "connectionLost");
    assert.equal(world.server.sockets.length, 2);
  }),
);

test(
  "a connection that has answered since the page is back is replaced after the backoff",
  inWorld(async (world) => {
    await world.joined();
    world.browser.hide();
    world.browser.show();
    await world.deliver(ACKNOWLEDGEMENT);
    await world.drop();
    assert.equal(world.server.sockets.length, 1);
  }),
);

test(
  "an attempt that fails after the page is back is followed by one other at once",
  inWorld(async (world) => {
    const listener = await world.joined();
    await world.drop();
    await world.clock.elapse(0.25);
    assert.equal(world.server.sockets.length, 2);
    world.browser.hide();
    world.browser.show();

    await world.drop();
    assert.equal(world.server.sockets.length, 3);

    await world.drop();
    assert.equal(world.server.sockets.length, 3);
    assert.equal(listener.reason, "CONNECTION_FAILED");
  }),
);

test(
  "a hidden page obeys a retryAfter when it is visible again",
  inWorld(async (world) => {
    const listener = world.listener();
    const refused = assert.rejects(listener.join(), { code: "RATE_LIMIT_EXCEEDED" });
    const refusal = { code: "RATE_LIMIT_EXCEEDED", temporary: true, retryAfter: 10 };
    await world.enter(refused, { type: "error", ...refusal });
    world.browser.hide();
    await world.clock.elapse(4);
    world.browser.show();
    await world.clock.elapse(5.9);
    assert.equal(world.server.sockets.length, 1);
    await world.clock.elapse(0.1);
    assert.equal(world.server.sockets.length, 2);
  }),
);

test(
  "a device that slept during a refresh gives up both connections and dials at once",
  inWorld(async (world) => {
    const listener = await world.joined();
    await world.clock.elapse(25);
    await world.deliver(REFRESH_REQUIRED);
    const [old, second] = world.server.sockets;
    second.accept();
    await settle();

    world.clock.sleep(600);
    await world.clock.elapse(5);

    assert.deepEqual([old.state, second.state], ["closed", "closed"]);
    assert.equal(listener.reason, "slept");
    await world.enter(null, REFRESHED);
    assert.equal(listener.state, "joined");
    assert.equal(world.server.open.length, 1);
  }),
);

test(
  "a hidden page that waits dials as soon as it plays sound",
  inWorld(async (world) => {
    const listener = await world.joined();
    world.browser.hide();
    await world.drop();
    assert.equal(listener.reason, "hidden");

    listener.playing = true;
    await world.enter(null, REFRESHED);

    assert.equal(listener.playing, true);
    assert.equal(listener.state, "joined");
  }),
);

test(
  "sound doesn't end the wait of a visible page",
  inWorld(async (world) => {
    const listener = await world.joined();
    await world.drop();
    listener.playing = true;
    assert.equal(world.server.sockets.length, 1);
  }),
);

test(
  "a dial that hasn't opened its connection starts again when the network is back",
  inWorld(async (world) => {
    const listener = world.listener();
    const joined = listener.join();
    world.browser.online();
    const [first] = world.server.sockets;
    assert.equal(first.state, "closed");
    await world.enter(joined, JOINED);
    assert.equal(listener.state, "joined");
    assert.equal(world.server.sockets.length, 2);
  }),
);

test(
  "a dial that has opened its connection goes on when the network is back",
  inWorld(async (world) => {
    const listener = world.listener();
    const joined = listener.join();
    world.socket.accept();
    await settle();
    world.browser.online();
    await world.deliver(JOINED);
    await joined;
    assert.equal(world.server.sockets.length, 1);
  }),
);

test(
  "a page that comes back again and again sends one heartbeat until it is answered",
  inWorld(async (world) => {
    const listener = await world.joined();
    for (let time = 0; time < 25; time += 1) {
      world.browser.hide();
      world.browser.show();
    }
    assert.equal(world.socket.frames.length, 2);

    await world.clock.elapse(2);
    world.browser.online();
    await world.clock.elapse(2.9);
    assert.equal(world.socket.frames.length, 2);
    await world.clock.elapse(0.1);
    assert.equal(world.socket.frames.length, 3);
    await world.clock.elapse(3);
    assert.equal(listener.reason, "noAnswer");
  }),
);

test(
  "a page that comes back again and again checks its connection every 5 s at most",
  inWorld(async (world) => {
    await world.joined();
    for (let second = 0; second < 20; second += 1) {
      world.browser.hide();
      world.browser.show();
      await world.deliver({ type: "heartbeatAck", sessionId: SESSION });
      await world.clock.elapse(1);
    }
    await world.deliver({ type: "heartbeatAck", sessionId: SESSION });
    assert.equal(world.socket.frames.length, 1 + 5);
    await world.clock.elapse(29.9);
    assert.equal(world.socket.frames.length, 1 + 5);
    await world.clock.elapse(0.1);
    assert.equal(world.socket.frames.length, 1 + 6);
  }),
);

test(
  "a wall clock that jumps back changes nothing",
  inWorld(async (world) => {
    const listener = await world.joined();
    await world.clock.elapse(30);
    world.clock.sleep(-3600);
    await world.deliver({ type: "heartbeatAck", sessionId: SESSION, timestamp: 2 });
    await world.clock.elapse(30);
    assert.equal(world.socket.frames.length, 3);

    world.browser.hide();
    await world.drop();
    world.clock.sleep(-3600);
    world.browser.show();
    await world.enter(null, REFRESHED);
    assert.equal(listener.state, "joined");
  }),
);

test(
  "a refresh starts again when the network is back, and the old connection is checked",
  inWorld(async (world) => {
    const listener = await world.joined();
    await world.clock.elapse(5);
    await world.deliver(REFRESH_REQUIRED);
    const [old, second] = world.server.sockets;
    world.browser.online();
    assert.equal(old.frames.at(-1).action, "heartbeat");
    assert.equal(second.state, "closed");
    await world.enter(null, REFRESHED);
    assert.equal(listener.state, "joined");
    assert.equal(world.server.open.length, 1);
  }),
);

test(
  "a hidden silent page doesn't start its dial again when the network is back",
  inWorld(async (world) => {
    await world.joined();
    await world.drop();
    await world.clock.elapse(0.25);
    world.browser.hide();
    world.browser.online();
    assert.equal(world.server.sockets.length, 2);
  }),
);
