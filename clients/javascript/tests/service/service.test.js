/**
 * @file The clients against a service on this machine, through a network that the test cuts.
 *
 * The environment has its address, SERVICE_URL, and a speaker's token, SERVICE_TOKEN.
 */

import assert from "node:assert/strict";
import { after, test } from "node:test";

import { Listener, Speaker } from "../../src/index.js";
import { Gate } from "./gate.js";

const { SERVICE_URL: url, SERVICE_TOKEN: token } = process.env;
if (!url || !token) throw new Error("SERVICE_URL and SERVICE_TOKEN are missing");

const opened = [];
after(() => opened.forEach((it) => it.close()));

async function gate() {
  const it = await Gate.open(url);
  opened.push(it);
  return it;
}

async function live(gate) {
  const speaker = new Speaker(gate.url, { token });
  opened.unshift(speaker);
  return { speaker, session: await speaker.create("en") };
}

async function joined(gate, { id, inviteCode }) {
  const options = { session: id, language: "es-AR", invite: inviteCode };
  const listener = new Listener(gate.url, options);
  opened.unshift(listener);
  await listener.join();
  return listener;
}

/** Wait for a state of a client. */
const becomes = (client, expected) =>
  new Promise((resolve) => {
    const remove = client.on("state", ({ state }) => {
      if (state !== expected) return;
      remove();
      resolve();
    });
  });

/**
 * Cut a network, and wait until the clients behind it are back.
 *
 * @returns {Promise<string>} The median of the times, in milliseconds.
 */
async function cut(gate, clients, state) {
  const back = clients.map((client) => becomes(client, state).then(() => performance.now()));
  const start = performance.now();
  gate.cut();
  const ends = (await Promise.all(back)).sort((one, other) => one - other);
  return (ends[Math.floor(ends.length / 2)] - start).toFixed();
}

test("listeners whose connections are cut are back, and are counted once", async (context) => {
  const { speaker, session } = await live(await gate());
  const network = await gate();
  const listeners = await Promise.all(Array.from({ length: 20 }, () => joined(network, session)));

  const milliseconds = await cut(network, listeners, "joined");

  context.diagnostic(`joined again after ${milliseconds} ms (median)`);
  const { listenerCount, languages } = await speaker.status();
  assert.deepEqual({ listenerCount, languages }, { listenerCount: 20, languages: { es: 20 } });
  await speaker.end();
});

test("a speaker whose connection is cut is back, and its listeners learn of both", async (context) => {
  const network = await gate();
  const { speaker, session } = await live(network);
  const listener = await joined(await gate(), session);
  const states = [];
  listener.on("state", ({ state }) => states.push(state));

  const milliseconds = await cut(network, [speaker], "live");

  context.diagnostic(`live again after ${milliseconds} ms`);
  const paused = becomes(listener, "paused");
  await speaker.pause();
  await paused;
  const ended = becomes(listener, "ended");
  await speaker.end();
  await ended;
  assert.deepEqual(states, ["interrupted", "joined", "paused", "ended"]);
});

test("the page's return ends the wait", async (context) => {
  const { session } = await live(await gate());
  const document = Object.assign(new EventTarget(), { hidden: false });
  Object.assign(globalThis, { document, window: new EventTarget() });
  try {
    const network = await gate();
    const listener = await joined(network, session);
    document.hidden = true;
    const [waits, back] = [becomes(listener, "reconnecting"), becomes(listener, "joined")];
    network.cut();
    await waits;
    assert.equal(listener.reason, "hidden");

    document.hidden = false;
    const start = performance.now();
    document.dispatchEvent(new Event("visibilitychange"));
    await back;
    context.diagnostic(`joined again after ${(performance.now() - start).toFixed()} ms`);
  } finally {
    delete globalThis.document;
    delete globalThis.window;
  }
});

test("a token that the service refuses is final", async () => {
  const speaker = new Speaker(url, { token: `${token}x` });
  await assert.rejects(speaker.create("en"), { code: "UNAUTHORIZED", temporary: false });
  assert.equal(speaker.state, "failed");
});

test("a session that doesn't exist is final", async () => {
  const listener = new Listener(url, { session: "golden-eagle-427", language: "es" });
  await assert.rejects(listener.join(), { code: "SESSION_NOT_FOUND", temporary: false });
});
