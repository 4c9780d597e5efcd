/** @file Captions beyond the recorded exchanges: without a handler, and any order or loss. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { Captions } from "../src/captions.js";
import { SESSION, inWorld } from "./support/world.js";

const caption = (seq, language = "es") => ({
  ...{ type: "caption", sessionId: SESSION, language, seq, captionId: `phrase-${seq}` },
  ...{ text: `caption ${seq}`, startedAt: seq },
});

test(
  "captions without a handler are buffered, and the oldest of more than 100 are dropped",
  inWorld(async (world) => {
    const listener = await world.joined();
    for (let seq = 1; seq <= 102; seq += 1) await world.deliver(caption(seq));
    assert.deepEqual(listener.buffer, { length: 100, dropped: 2 });

    const texts = [];
    listener.on("caption", ({ text }) => texts.push(text));
    await world.deliver(caption(103));

    assert.equal(texts.length, 101);
    assert.equal(texts[0], "caption 3");
    assert.equal(texts[100], "caption 103");
    assert.deepEqual(listener.buffer, { length: 0, dropped: 2 });
  }),
);

test(
  "a retryAfter of more than an hour counts as an hour",
  inWorld(async (world) => {
    await world.joined();
    await world.deliver(caption(2));
    await world.clock.elapse(2);
    const refusal = { type: "error", code: "SERVICE_UNAVAILABLE", temporary: true };
    const asked = () => world.socket.frames.filter(({ action }) => action === "getCaptions").length;
    world.socket.deliver({ ...refusal, retryAfter: 1e12 });

    for (let beat = 0; beat < 119; beat += 1) {
      await world.clock.elapse(30);
      world.socket.deliver({ type: "heartbeatAck", sessionId: SESSION });
    }
    assert.equal(asked(), 1);
    await world.clock.elapse(33);
    assert.equal(asked(), 2);
  }),
);

test(
  "a request is sent only in the session",
  inWorld(async (world) => {
    await world.joined();
    await world.deliver(caption(2));
    await world.clock.elapse(1.9);
    await world.drop();
    await world.clock.elapse(60);

    assert.deepEqual(
      world.server.sockets.flatMap(({ frames }) => frames.map(({ action }) => action)),
      ["joinSession"],
    );
  }),
);

/** Make captions of their own, with the requests that they send and the numbers they deliver. */
function openCaptions() {
  const [requests, heard] = [[], []];
  const captions = new Captions(
    (command, answered) => requests.push({ ...command, answered }),
    ({ seq }) => heard.push(seq),
    ({ count }) => heard.push(`${count} lost`),
  );
  captions.enter("es", 0);
  return { captions, requests, heard };
}

const answerOf = (...seqs) => {
  const items = seqs.map((seq) => caption(seq));
  return { type: "captions", targetLanguage: "es", items, lastSeq: seqs.at(-1), hasMore: false };
};

test(
  "a full buffer has room for the missing captions",
  inWorld(async (world) => {
    const { captions, requests, heard } = openCaptions();
    for (let seq = 4; seq < 204; seq += 1) captions.receive(caption(seq));
    captions.receive(caption(1));
    assert.deepEqual(heard, [1]);
    captions.receive(caption(204));
    await world.clock.elapse(2);
    requests[0].answered(answerOf(2, 3));

    assert.deepEqual(heard, Array.from({ length: 204 - 1 }, (_, index) => index + 1));
    await world.clock.elapse(2);
    assert.equal(requests.at(-1).afterSeq, 203);
  }),
);

test(
  "an answer is not a way around the limit of the buffer",
  inWorld(async () => {
    const { captions, requests, heard } = openCaptions();
    captions.change("es", 2);
    const beyond = Array.from({ length: 100 }, (_, index) => caption(4 + index));
    requests[0].answered({ ...answerOf(1, 2), items: [caption(1), caption(2), ...beyond] });
    captions.receive(caption(3));
    captions.receive(caption(104));

    assert.deepEqual(heard, [1, 2, 3]);
    captions.stop();
  }),
);

test(
  "a late answer that brings what is missing is followed by no request",
  inWorld(async (world) => {
    const { captions, requests, heard } = openCaptions();
    captions.receive(caption(2));
    await world.clock.elapse(2 + 11);
    requests[0].answered(answerOf(1));
    await world.clock.elapse(20);

    assert.deepEqual(heard, [1, 2]);
    assert.equal(requests.length, 1);
  }),
);

test(
  "the request for more has its own time for an answer",
  inWorld(async (world) => {
    const { captions, requests } = openCaptions();
    captions.receive(caption(4));
    await world.clock.elapse(2 + 9);
    requests[0].answered({ ...answerOf(1), hasMore: true });
    assert.equal(requests.length, 2);
    await world.clock.elapse(11.9);
    assert.equal(requests.length, 2);
    await world.clock.elapse(0.1);
    assert.equal(requests.length, 3);
  }),
);

/** Return random numbers that depend on a seed. Source: mulberry32, by Tommy Ettinger. */
function numbers(seed) {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let mixed = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** A service that numbers captions, keeps some, and loses, repeats and reorders what it sends. */
class Service {
  published = 0;
  kept = new Set();
  onTheirWay = [];
  requests = [];
  #random;

  constructor(random) {
    this.#random = random;
  }

  publish() {
    this.published += 1;
    if (this.#random() < 0.9) this.kept.add(this.published);
    if (this.#random() < 0.8) this.onTheirWay.push(this.published);
    if (this.#random() < 0.1) this.onTheirWay.push(this.published);
  }

  /** Take one of those on their way, in any order. */
  arrive() {
    const index = Math.floor(this.#random() * this.onTheirWay.length);
    return this.onTheirWay.splice(index, 1)[0];
  }

  answer({ afterSeq }) {
    const lastSeq = Math.min(this.published, afterSeq + 1 + Math.floor(this.#random() * 5));
    const all = Array.from({ length: lastSeq - afterSeq }, (_, index) => afterSeq + 1 + index);
    const items = all.filter((seq) => this.kept.has(seq)).map((seq) => caption(seq));
    const [missed, hasMore] = [all.length - items.length, lastSeq < this.published];
    return { type: "captions", targetLanguage: "es", items, lastSeq, missed, hasMore };
  }
}

const RUNS = 200;

test(`in ${RUNS} random sequences, every caption is delivered in order or counted`, async () => {
  for (let seed = 1; seed <= RUNS; seed += 1) {
    await inWorld((world) => play(world, numbers(seed)))();
  }
});

async function play({ clock }, random) {
  const service = new Service(random);
  const [delivered, lost] = [[], []];
  let last = 0;
  const captions = new Captions(
    (command, answered) =>
      service.requests.push({ command, answered, sentAt: performance.now() }),
    ({ seq }) => {
      assert.equal(seq, last + 1);
      delivered.push((last = seq));
    },
    ({ language, afterSeq, count }) => {
      assert.deepEqual([language, afterSeq], ["es", last]);
      for (let seq = last + 1; seq <= last + count; seq += 1) lost.push(seq);
      last += count;
    },
  );
  const answer = () => {
    const { command, answered } = service.requests.shift() ?? {};
    const failure = { type: "error", code: "INTERNAL_ERROR", temporary: true };
    answered?.(random() < 0.8 ? service.answer(command) : failure);
  };
  const actions = [
    () => service.publish(),
    () => captions.receive(caption(service.arrive() ?? 0)),
    () => answer(),
    () => clock.elapse(random() * 4),
    () => {
      service.requests = [];
      captions.enter("es", service.published);
    },
    () => captions.change("es", service.published),
  ];
  captions.enter("es", 0);
  for (let step = 0; step < 100; step += 1) {
    await actions[Math.floor(random() * actions.length)]();
    const inFlight = service.requests.filter(({ sentAt }) => performance.now() < sentAt + 10_000);
    assert.ok(inFlight.length <= 1, "one request is in flight at most");
  }
  service.requests = [];
  captions.enter("es", service.published);
  for (let second = 0; last < service.published; second += 1) {
    assert.ok(second < 300, "all captions are accounted for in time");
    answer();
    await clock.elapse(1);
  }
  captions.stop();
  assert.deepEqual(lost.filter((seq) => service.kept.has(seq)), []);
  assert.equal(delivered.length + lost.length, service.published);
  assert.equal(clock.timers, 0);
}
