/** @file Plays a recorded exchange: does what the server does, and checks what the client does. */

import assert from "node:assert/strict";

import { SessionError } from "../../src/index.js";
import { settle } from "./clock.js";
import { URL_OF_SERVICE, inWorld } from "./world.js";

/** Make a test's function out of an exchange. */
export const played = (exchange) => inWorld((world) => new Player(world, exchange).play());

class Player {
  #world;
  #exchange;
  #client;
  #opened = 0;
  /** What the client has emitted, and how calls have settled, that no step has expected yet. */
  #events = [];
  #settled = [];

  constructor(world, exchange) {
    this.#world = world;
    this.#exchange = exchange;
  }

  async play() {
    this.#start();
    for (const step of this.#exchange.steps) await this.#take(step);
    this.#expectNothingElse();
    const { state, connections } = this.#exchange.ends;
    assert.equal(this.#client.state, state);
    assert.equal(this.#world.server.open.length, connections);
  }

  /** Give the page a client. Nothing is recorded of the client before it. */
  #start() {
    const { role, options } = this.#exchange;
    const { tokens, ...rest } = options;
    if (tokens) rest.token = oneAfterTheOther([...tokens]);
    const client = this.#world[role](rest);
    for (const type of ["state", "audience", "caption", "gap"]) {
      client.on(type, (event) => {
        if (client === this.#client) this.#events.push({ type, ...event });
      });
    }
    this.#client = client;
  }

  async #take(step) {
    const kind = Object.keys(this.#expected).find((it) => it in step);
    if (kind) {
      await this.#expected[kind](step);
    } else if (!("others" in step)) {
      this.#expectNothingElse();
      await this.#happens[Object.keys(this.#happens).find((it) => it in step)](step);
      await settle();
    }
  }

  #happens = {
    call: ({ call, with: args = [] }) => {
      const promise = this.#client[call](...args);
      promise?.then(
        (value) => this.#settled.push({ value }),
        (error) => this.#settled.push({ error }),
      );
    },
    server: ({ server, on, bytes }) => this.#socket(on).deliver(server, bytes),
    drop: ({ drop, code }) => this.#socket(drop).drop(code),
    elapse: ({ elapse }) => this.#world.clock.elapse(elapse),
    sleep: ({ sleep }) => this.#world.clock.sleep(sleep),
    page: ({ page }) => this.#pageEvents[page](),
  };

  #pageEvents = {
    hidden: () => this.#world.browser.hide(),
    visible: () => this.#world.browser.show(),
    online: () => this.#world.browser.online(),
    offline: () => this.#world.browser.offline(),
    reload: () => {
      this.#world.browser.leave();
      this.#world.browser.load();
      this.#world.clock.clear();
      this.#world.server.disconnectAll();
      this.#start();
    },
  };

  #expected = {
    opens: async ({ opens, credentials, token, answer }) => {
      const socket = this.#world.server.sockets[this.#opened];
      assert.ok(socket, `the client opens ${opens}`);
      assert.equal(opens, nameOf(this.#opened++));
      const { origin, pathname, searchParams } = socket.url;
      assert.equal(origin + pathname, URL_OF_SERVICE);
      assert.deepEqual(Object.fromEntries(searchParams), this.#sent(credentials, token));
      if (answer === 101) socket.accept();
      else if (answer !== "silence") socket.refuse();
      await settle();
    },
    client: ({ client, on }) => assert.deepEqual(this.#socket(on).frames.shift(), client),
    closes: ({ closes, code }) => assert.equal(this.#socket(closes).closes.shift(), code),
    event: ({ event }) => assert.deepEqual(this.#events.shift(), event),
    result: ({ result }) => {
      const { value = null, error } = this.#settled.shift() ?? {};
      assert.equal(error, undefined);
      assert.deepEqual(restrict(value, result), result);
    },
    error: ({ error: expected }) => {
      const { code, temporary, retryAfterSeconds } = this.#settled.shift()?.error ?? {};
      assert.deepEqual({ code, temporary, retryAfterSeconds }, expected);
    },
  };

  /** The query of these credentials. */
  #sent(credentials, token) {
    if (credentials === "token") return { token };
    if (credentials === "none") return {};
    const { invite, session } = this.#exchange.options;
    return { inviteCode: invite, sessionId: session };
  }

  /** Find a connection by its letter. Without one, it is the only open one. */
  #socket(name) {
    const { sockets, open } = this.#world.server;
    if (name) return sockets[indexOf(name)];
    return open[0] ?? sockets.at(-1);
  }

  #expectNothingElse() {
    const { sockets } = this.#world.server;
    assert.deepEqual(this.#events, [], "events");
    assert.deepEqual(this.#settled, [], "settled calls");
    assert.deepEqual(
      sockets.slice(this.#opened).map(({ url }) => url.href),
      [],
      "connections",
    );
    assert.deepEqual(
      sockets.flatMap(({ frames }) => frames),
      [],
      "frames",
    );
    assert.deepEqual(
      sockets.flatMap(({ closes }) => closes),
      [],
      "closes",
    );
  }
}

const nameOf = (index) => String.fromCharCode("a".charCodeAt(0) + index);

const indexOf = (name) => name.charCodeAt(0) - "a".charCodeAt(0);

/** Keep only those fields of a value that are expected. */
const restrict = (value, expected) =>
  value && expected && typeof expected === "object"
    ? Object.fromEntries(Object.keys(expected).map((name) => [name, value[name]]))
    : value;

/** A callback that gives the tokens one after the other, and the last one from then on. */
function oneAfterTheOther(tokens) {
  return () => {
    const token = tokens.length > 1 ? tokens.shift() : tokens[0];
    if (token === null) throw new Error("there is no token");
    if (token.code) throw new SessionError(token.code, "a refusal");
    return token;
  };
}
