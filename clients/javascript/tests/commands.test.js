/** @file The queue of the application's commands, and its bounds. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { settle } from "./support/clock.js";
import { REFRESHED, REFRESH_REQUIRED, SESSION, inWorld } from "./support/world.js";

test(
  "a 101st command that waits is rejected and counted",
  inWorld(async (world) => {
    const speaker = await world.live();
    await world.drop();
    const waiting = Array.from({ length: 100 }, () => speaker.pause());
    await assert.rejects(speaker.resume(), { code: "QUEUE_FULL", temporary: true });
    assert.deepEqual(speaker.queue, { length: 100, dropped: 1 });

    speaker.close();
    const settled = await Promise.allSettled(waiting);
    assert.ok(settled.every(({ reason }) => reason.code === "CLOSED"));
    assert.deepEqual(speaker.queue, { length: 0, dropped: 1 });
  }),
);

test(
  "a speaker that has a session can't have another",
  inWorld(async (world) => {
    const speaker = await world.live();
    await assert.rejects(speaker.create("en"), { code: "CONFLICT", temporary: false });
    await assert.rejects(speaker.takeOver("brave-tiger-101"), { code: "CONFLICT" });
    assert.equal(speaker.state, "live");
  }),
);

test(
  "a speaker takes over the session that it has, with the current code",
  inWorld(async (world) => {
    const speaker = await world.live();
    const rotated = speaker.rotateInviteCode();
    await world.deliver({ type: "inviteCodeRotated", inviteCode: "new", timestamp: 3 });
    assert.equal(await rotated, "new");
    for (const id of ["Golden Eagle  427", " golden_eagle-427 ", "\tgolden eagle 427\n"]) {
      assert.deepEqual(await speaker.takeOver(id), {
        ...{ id: SESSION, inviteCode: "new", status: "active" },
      });
    }
  }),
);

test(
  "an outcome that was sent before the code was replaced doesn't restore the old one",
  inWorld(async (world) => {
    const speaker = await world.live();
    const [old] = world.server.sockets;
    const rotated = speaker.rotateInviteCode();
    await world.clock.elapse(5);
    await world.deliver(REFRESH_REQUIRED);
    world.socket.accept();
    await settle();
    old.deliver({ type: "inviteCodeRotated", inviteCode: "new", timestamp: 20 });
    await rotated;
    await world.deliver({ ...REFRESHED, inviteCode: "code", timestamp: 15 });
    assert.equal(speaker.state, "live");
    assert.equal(speaker.inviteCode, "new");
  }),
);

test(
  "a speaker has no session until it is in one",
  inWorld(async (world) => {
    const speaker = world.speaker();
    const refused = assert.rejects(speaker.takeOver(SESSION), { code: "SESSION_NOT_FOUND" });
    await settle();
    world.socket.accept();
    await settle();
    assert.equal(speaker.session, null);
    await world.deliver({ type: "error", code: "SESSION_NOT_FOUND", temporary: false });
    await refused;
    assert.equal(speaker.session, null);

    await world.enter(speaker.takeOver(SESSION), { ...REFRESHED, inviteCode: "code" });
    assert.equal(speaker.session, SESSION);
  }),
);

for (const id of [null, undefined, "", "  ", 5, {}]) {
  test(
    `a speaker can't take over the session ${JSON.stringify(id)}`,
    inWorld(async (world) => {
      const refusal = { name: "SessionError", code: "INVALID_SESSION_ID", temporary: false };
      const fresh = world.speaker();
      await assert.rejects(fresh.takeOver(id), refusal);
      assert.equal(fresh.state, "idle");
      assert.equal(world.server.sockets.length, 0);

      const live = await world.live();
      await assert.rejects(live.takeOver(id), refusal);
      assert.equal(live.state, "live");
    }),
  );
}

const circular = {};
circular.itself = circular;

for (const [kind, value] of [["a BigInt", 10n], ["a circular object", circular]]) {
  test(
    `an argument that is ${kind} is rejected, and changes nothing`,
    inWorld(async (world) => {
      const refusal = { name: "SessionError", code: "INVALID_PARAMETERS", temporary: false };
      const speaker = world.speaker();
      await assert.rejects(speaker.create(value), refusal);
      await assert.rejects(speaker.create("en", { admission: value }), refusal);
      assert.equal(speaker.state, "idle");
      assert.equal(world.server.sockets.length, 0);

      const listener = await world.joined();
      await assert.rejects(listener.changeLanguage(value), refusal);
      listener.changeLanguage("fr");
      await settle();
      assert.deepEqual(world.socket.frames.at(-1).targetLanguage, "fr");
    }),
  );
}

test(
  "a caption without an ID gets one of its own, which stays when it is sent again",
  inWorld(async (world) => {
    const speaker = await world.live();
    const first = speaker.sendCaption("Good morning");
    await settle();
    const { captionId } = world.socket.frames.at(-1);
    assert.match(captionId, /^[\w+/]{20}$/);
    await world.drop();
    await world.clock.elapse(1);
    world.socket.accept();
    await world.deliver({ ...REFRESHED, inviteCode: "code" });
    assert.equal(world.socket.frames.at(-1).captionId, captionId);
    await world.deliver({ type: "captionAccepted", captionId, seq: 1 });
    assert.deepEqual(await first, { captionId, seq: 1 });

    speaker.sendCaption("Good morning");
    await settle();
    assert.notEqual(world.socket.frames.at(-1).captionId, captionId);
  }),
);

for (const [kind, text, options] of [
  ["a text that isn't one", 5],
  ["a missing text", undefined],
  ["an ID that isn't a text", "Good morning", { captionId: 5 }],
]) {
  test(
    `a caption with ${kind} is rejected`,
    inWorld(async (world) => {
      const speaker = await world.live();
      const refusal = { name: "SessionError", code: "INVALID_PARAMETERS", temporary: false };
      await assert.rejects(speaker.sendCaption(text, options), refusal);
      assert.equal(world.socket.frames.at(-1).action, "createSession");
    }),
  );
}

for (const tag of [undefined, null, "", " ", 5]) {
  test(
    `a listener can't choose the language ${JSON.stringify(tag)}`,
    inWorld(async (world) => {
      const refusal = { name: "SessionError", code: "INVALID_PARAMETERS", temporary: false };
      const listener = world.listener();
      await assert.rejects(listener.changeLanguage(tag), refusal);
      assert.equal(listener.language, "es");
    }),
  );
}
