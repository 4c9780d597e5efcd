/** @file A world for clients: a clock, a page and a server that only the test moves. */

import { Listener, Speaker } from "../../src/index.js";
import { Browser } from "./browser.js";
import { Clock, settle } from "./clock.js";
import { Server } from "./server.js";

export const URL_OF_SERVICE = "wss://api.example.org/local";
export const SESSION = "golden-eagle-427";

/**
 * Make a test's function out of one that takes a world.
 *
 * @param {(world: World) => Promise<void>} run
 */
export const inWorld = (run) => async () => {
  const world = new World();
  const { random } = Math;
  Math.random = () => 0.5;
  world.clock.install();
  world.browser.load();
  globalThis.reportError = (error) => world.reported.push(error.message);
  try {
    await run(world);
  } finally {
    delete globalThis.reportError;
    world.browser.unload();
    world.clock.restore();
    Math.random = random;
  }
};

class World {
  clock = new Clock();
  browser = new Browser();
  server = new Server();
  /** The messages of the errors that the client has reported. */
  reported = [];

  /** The connection that was opened last. */
  get socket() {
    return this.server.sockets.at(-1);
  }

  /** What is still alive, apart from connections. */
  get alive() {
    return { timers: this.clock.timers, listeners: this.browser.listeners };
  }

  listener(options) {
    const { WebSocket } = this.server;
    return new Listener(URL_OF_SERVICE, {
      session: SESSION,
      language: "es",
      WebSocket,
      ...options,
    });
  }

  speaker(options) {
    const { WebSocket } = this.server;
    return new Speaker(URL_OF_SERVICE, { token: "t1", WebSocket, ...options });
  }

  async joined(options) {
    const listener = this.listener(options);
    await this.enter(listener.join(), JOINED);
    return listener;
  }

  async live(options) {
    const speaker = this.speaker(options);
    await this.enter(speaker.create("en"), CREATED);
    return speaker;
  }

  /** Accept the connection that a call opens, and answer its command. */
  async enter(call, outcome) {
    await settle();
    this.socket.accept();
    await this.deliver(outcome);
    return call;
  }

  async deliver(message) {
    await settle();
    this.socket.deliver(message);
    await settle();
  }

  async drop() {
    this.socket.drop(1006);
    await settle();
  }
}

const PARTICIPATION = { sessionId: SESSION, connectionId: "c1", sourceLanguage: "en" };

export const JOINED = {
  ...{ type: "sessionJoined", ...PARTICIPATION, targetLanguage: "es", status: "active" },
  ...{ heartbeatSeconds: 30, timestamp: 1 },
};
export const CREATED = {
  ...{ type: "sessionCreated", ...PARTICIPATION, inviteCode: "code", maxListeners: 500 },
  ...{ heartbeatSeconds: 30, timestamp: 1 },
};
export const REFRESHED = { ...JOINED, type: "connectionRefreshComplete", connectionId: "c2" };
export const REFRESH_REQUIRED = { type: "connectionRefreshRequired", timestamp: 2 };
export const INTERRUPTED = { type: "sessionInterrupted", graceSeconds: 60, timestamp: 2 };
