/**
 * @file Clients that another process drives by lines of JSON.
 *
 * A line `{"id", "member", "call", "with"}` calls a method, and is answered by `{"id", "result"}` or
 * `{"id", "error"}`. The call `listener` or `speaker` makes the member. Its states come as
 * `{"member", "event"}`, its captions as `{"member", "caption"}`, and its gaps as
 * `{"member", "gap"}`. All clocks of the clients run CLOCK_RATE times as fast.
 */

import { createInterface } from "node:readline";

import { Listener, Speaker } from "../../src/index.js";

const rate = Number(process.env.CLOCK_RATE);
const { setTimeout } = globalThis;
const { now } = Date;
const elapsed = performance.now.bind(performance);
globalThis.setTimeout = (callback, delay, ...args) => setTimeout(callback, delay / rate, ...args);
Date.now = () => now() * rate;
performance.now = () => elapsed() * rate;

const members = {};
const roles = { listener: Listener, speaker: Speaker };

function write(message) {
  process.stdout.write(`${JSON.stringify(message)}\n`);
}

function make(member, role, [url, options]) {
  members[member] = new roles[role](url, options);
  members[member].on("state", (event) => write({ member, event }));
  if (role === "listener") {
    members[member].on("caption", (caption) => write({ member, caption }));
    members[member].on("gap", (gap) => write({ member, gap }));
  }
}

async function take({ id, member, call, with: args }) {
  try {
    const result = call in roles ? make(member, call, args) : await members[member][call](...args);
    write({ id, result: result ?? null });
  } catch ({ code, message, temporary }) {
    write({ id, error: { code, message, temporary } });
  }
}

createInterface({ input: process.stdin }).on("line", (line) => take(JSON.parse(line)));
