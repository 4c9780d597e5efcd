/** @file Whatever happens, and in whatever order, a client ends up in the session once all is well. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { settle } from "./support/clock.js";
import { CREATED, JOINED, REFRESHED, REFRESH_REQUIRED, inWorld } from "./support/world.js";

const RUNS = 200;
const STEPS = 40;

/** Return random numbers that depend on a seed. Source: mulberry32, by Tommy Ettinger. */
function numbers(seed) {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let mixed = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const TEMPORARY = { type: "error", code: "SERVICE_UNAVAILABLE", temporary: true, retryAfter: 2 };
const OUTCOMES = {
  joinSession: JOINED,
  createSession: CREATED,
  refreshConnection: { ...REFRESHED, inviteCode: "code" },
  heartbeat: { type: "heartbeatAck", sessionId: "s", heartbeatSeconds: 30 },
  changeLanguage: { type: "languageChanged", targetLanguage: "fr" },
  pauseSession: { type: "sessionPaused" },
  resumeSession: { type: "sessionResumed" },
};

class Chance {
  #world;
  #client;
  #role;
  #random;
  #timestamp = 10;

  constructor(world, role, seed) {
    this.#world = world;
    this.#role = role;
    this.#random = numbers(seed);
    Math.random = this.#random;
    this.#client = world[role]({ storage: null });
    // A refused handshake can be a refused token, which is final.
    if (role === "speaker") delete this.#actions.refuse;
  }

  async run() {
    this.#enter();
    for (let step = 0; step < STEPS; step += 1) {
      const actions = Object.values(this.#actions);
      await actions[Math.floor(this.#random() * actions.length)]();
      await settle();
      this.#check();
    }
    await this.#recover();
    this.#client.close();
    await settle();
    assert.deepEqual(this.#world.alive, { timers: 0, listeners: 0 });
    assert.equal(this.#world.server.open.length, 0);
  }

  #enter() {
    const { state, session } = this.#client;
    if (this.#role === "listener") this.#client.join().catch(() => {});
    else if (state === "idle") this.#client.create("en").catch(() => {});
    else if (state === "failed") this.#client.takeOver(session).catch(() => {});
  }

  #actions = {
    accept: () => this.#socket("connecting")?.accept(),
    refuse: () => this.#socket("connecting")?.refuse(),
    drop: () => this.#socket("open")?.drop(1006),
    answer: () => this.#answer(this.#socket("open")),
    answerAgain: () => this.#answer(this.#socket("open")),
    fail: () => this.#socket("open")?.deliver(TEMPORARY),
    failAsAWhole: () => this.#socket("open")?.deliver({ message: "Internal server error" }),
    refresh: () => this.#deliver(REFRESH_REQUIRED),
    pause: () => this.#deliver({ type: "sessionPaused" }),
    loseMembership: () => this.#deliver({ type: "heartbeatAck" }),
    wait: () => this.#world.clock.elapse(this.#random() * 3),
    waitLong: () => this.#world.clock.elapse(this.#random() * 40),
    sleep: () => this.#world.clock.sleep(this.#random() * 300),
    setClockBack: () => this.#world.clock.sleep(this.#random() * -300),
    hide: () => this.#world.browser.hide(),
    play: () => Object.assign(this.#client, { playing: this.#random() < 0.5 }),
    show: () => this.#world.browser.show(),
    online: () => this.#world.browser.online(),
    enter: () => this.#enter(),
    command: () => {
      const command = this.#role === "listener" ? "changeLanguage" : "pause";
      this.#client[command]("fr").catch(() => {});
    },
  };

  #socket(state) {
    const sockets = this.#world.server.sockets.filter((socket) => socket.state === state);
    return sockets[Math.floor(this.#random() * sockets.length)];
  }

  #deliver(message) {
    this.#socket("open")?.deliver({ ...message, timestamp: (this.#timestamp += 1) });
  }

  #answer(socket) {
    const outcome = OUTCOMES[socket?.unanswered[0]?.action];
    if (outcome) socket.deliver({ ...outcome, timestamp: (this.#timestamp += 1) });
  }

  /** Check what holds after each step. */
  #check() {
    const { sockets, open } = this.#world.server;
    const connecting = sockets.filter(({ state }) => state === "connecting");
    assert.ok(open.length + connecting.length <= 2, "at most two connections");
    const { state, reason } = this.#client;
    if (["joined", "live", "paused", "refreshing"].includes(state)) assert.ok(open.length > 0);
    assert.notEqual(state, "ended");
    if (state === "failed") assert.equal(reason, "REPLACED", "nothing else here is final");
  }

  /** From now on, all is well. */
  async #recover() {
    this.#world.browser.show();
    for (let second = 0; second < 120; second += 1) {
      this.#enter();
      await settle();
      for (const socket of this.#world.server.sockets) {
        if (socket.state === "connecting") socket.accept();
        await settle();
        while (socket.state === "open" && socket.unanswered.length) {
          this.#answer(socket);
          await settle();
        }
      }
      await this.#world.clock.elapse(1);
    }
    assert.ok(["joined", "live", "paused"].includes(this.#client.state), this.#client.state);
    assert.equal(this.#world.server.open.length, 1);
  }
}

for (const role of ["listener", "speaker"]) {
  test(`a ${role} recovers from ${RUNS} random sequences of faults`, async () => {
    for (let seed = 1; seed <= RUNS; seed += 1) {
      await inWorld((world) => new Chance(world, role, seed).run())();
    }
  });
}
