/** @file Options that can't work are refused by the constructors. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { Listener, Speaker } from "../src/index.js";
import { SESSION, URL_OF_SERVICE, inWorld } from "./support/world.js";

const WebSocket = class {};
const OPTIONS = { session: SESSION, language: "es", WebSocket };

const refused = {
  "an HTTP URL": () => new Listener("https://api.example.org/local", OPTIONS),
  "a relative URL": () => new Listener("/local", OPTIONS),
  "a missing session": () => new Listener(URL_OF_SERVICE, { ...OPTIONS, session: undefined }),
  "an empty session": () => new Listener(URL_OF_SERVICE, { ...OPTIONS, session: " " }),
  "a missing language": () => new Listener(URL_OF_SERVICE, { ...OPTIONS, language: undefined }),
  "missing options": () => new Listener(URL_OF_SERVICE),
  "a missing token": () => new Speaker(URL_OF_SERVICE, { WebSocket }),
  "an empty token": () => new Speaker(URL_OF_SERVICE, { token: "", WebSocket }),
  "a token that isn't text": () => new Speaker(URL_OF_SERVICE, { token: 5, WebSocket }),
  "an HTTP URL of a speaker": () => new Speaker("http://127.0.0.1/", { token: "t1", WebSocket }),
};

for (const [option, construct] of Object.entries(refused)) {
  test(`${option} is a TypeError`, () => assert.throws(construct, TypeError));
}

test("without a WebSocket, the TypeError names the two ways to get one", () => {
  const { WebSocket: original } = globalThis;
  delete globalThis.WebSocket;
  try {
    assert.throws(
      () => new Listener(URL_OF_SERVICE, { session: SESSION, language: "es" }),
      /--experimental-websocket.* option WebSocket/,
    );
  } finally {
    if (original) globalThis.WebSocket = original;
  }
});

test(
  "credentials are added to the query of the URL",
  inWorld(async ({ server }) => {
    const listener = new Listener(`${URL_OF_SERVICE}?tenant=a`, {
      ...{ session: SESSION, language: "es", invite: "b3+Q", WebSocket: server.WebSocket },
    });
    listener.join().catch(() => {});
    await Promise.resolve();
    assert.deepEqual(Object.fromEntries(server.sockets[0].url.searchParams), {
      ...{ tenant: "a", sessionId: SESSION, inviteCode: "b3+Q" },
    });
  }),
);

test(
  "a WebSocket class that throws is a final failure",
  inWorld(async (world) => {
    const WebSocket = class {
      constructor() {
        throw new Error("mixed content");
      }
    };
    const listener = world.listener({ WebSocket });
    await assert.rejects(listener.join(), { code: "CONNECTION_FAILED", temporary: false });
    assert.equal(listener.state, "failed");
    assert.deepEqual(world.alive, { timers: 0, listeners: 0 });
  }),
);
