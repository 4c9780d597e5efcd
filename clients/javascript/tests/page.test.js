/** @file A page that is hidden, plays sound, or comes back. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { settle } from "./support/clock.js";
import { REFRESHED, REFRESH_REQUIRED, SESSION, inWorld } from "./support/world.js";

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
