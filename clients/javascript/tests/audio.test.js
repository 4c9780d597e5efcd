/** @file The sound of captions: one after another, never far behind, and past what fails. */

import assert from "node:assert/strict";
import { getEventListeners } from "node:events";
import { test } from "node:test";

import { onStage, sound } from "./support/audio.js";
import { settle } from "./support/clock.js";

test(
  "the tap plays a moment of silence, and each caption follows the one before",
  onStage(async (stage) => {
    stage.tap();
    assert.match(stage.now, /^data:audio\/wav;base64,UklGR/);
    await stage.speak(sound("one"), sound("two"));
    assert.equal(stage.element.played.length, 1);

    await stage.emit("ended");
    assert.equal(stage.now, "one");
    await stage.emit("ended");
    assert.equal(stage.now, "two");
    await stage.emit("ended");
    assert.equal(stage.now, null);
    await stage.speak(sound("three"));
    assert.equal(stage.now, "three");
    assert.deepEqual(stage.skips, []);
  }),
);

test(
  "a player that no tap has unlocked plays nothing, and loads nothing",
  onStage(async (stage) => {
    await stage.speak(sound("one"));
    assert.deepEqual([stage.element.played, stage.fetched], [[], []]);
    assert.equal(stage.listener.playing, false);

    await stage.start();
    assert.equal(stage.now, null);
    await stage.speak(sound("two"));
    assert.equal(stage.now, "two");
  }),
);

test(
  "captions without audio are passed over",
  onStage(async (stage) => {
    await stage.start();
    await stage.speak(undefined, {}, { url: 7 }, { data: "AAAA" }, { contentType: "audio/mpeg" });
    await stage.speak(sound("one"));

    assert.equal(stage.now, "one");
    assert.deepEqual(stage.skips, []);
  }),
);

test(
  "two utterances are loaded ahead",
  onStage(async (stage) => {
    await stage.start();
    await stage.speak(sound("one"), sound("two"), sound("three"), sound("four"));
    assert.deepEqual(stage.fetched, ["one", "two", "three"]);

    await stage.emit("ended");
    assert.deepEqual(stage.fetched, ["one", "two", "three", "four"]);
  }),
);

test(
  "the rate is 1.1 while more than one utterance waits",
  onStage(async (stage) => {
    await stage.start();
    await stage.speak(sound("one"), sound("two"));
    assert.equal(stage.element.playbackRate, 1);
    await stage.speak(sound("three"));
    assert.equal(stage.element.playbackRate, 1.1);
    await stage.speak(sound("four"));

    await stage.emit("ended");
    assert.equal(stage.now, "two");
    assert.equal(stage.element.playbackRate, 1.1);
    await stage.emit("ended");
    assert.equal(stage.now, "three");
    assert.equal(stage.element.playbackRate, 1);
  }),
);

test(
  "a player that is more than 8 s behind jumps to the newest utterance, and says so",
  onStage(async (stage) => {
    await stage.start();
    await stage.speak(sound("one"));
    await stage.emit("playing");
    await stage.speak(sound("two"), sound("three"), sound("four"));
    await stage.world.clock.elapse(8);
    await stage.speak(sound("five"));
    assert.deepEqual(stage.skips, []);

    await stage.world.clock.elapse(0.1);
    await stage.emit("ended");
    assert.equal(stage.now, "five");
    assert.deepEqual(stage.skips, [{ count: 3, reason: "behind" }]);
    assert.deepEqual(stage.loaded, ["five"]);
  }),
);

test(
  "the newest utterance is heard, however late it is",
  onStage(async (stage) => {
    await stage.start();
    await stage.speak(sound("one"));
    await stage.emit("playing");
    await stage.speak(sound("two"));
    await stage.world.clock.elapse(30);
    await stage.emit("ended");

    assert.equal(stage.now, "two");
    assert.deepEqual(stage.skips, []);
  }),
);

test(
  "captions that come together after an absence are skipped if they last more than 8 s",
  onStage(async (stage) => {
    await stage.start();
    for (const name of ["one", "two", "three", "four"]) {
      await stage.caption({ audio: sound(name), durationMs: 4000 });
    }
    assert.deepEqual(stage.skips, []);

    await stage.caption({ audio: sound("five"), durationMs: 4000 });
    assert.deepEqual(stage.skips, [{ count: 3, reason: "behind" }]);
    await stage.emit("ended");
    assert.equal(stage.now, "five");
  }),
);

test(
  "an utterance that isn't found is skipped",
  onStage(async (stage) => {
    await stage.start();
    stage.answers = { one: 404, three: 403 };
    await stage.speak(sound("one"), sound("two"), sound("three"), sound("four"));
    assert.equal(stage.now, "two");
    await stage.emit("ended");

    assert.equal(stage.now, "four");
    assert.deepEqual(stage.skips, Array(2).fill({ count: 1, reason: "failed" }));
  }),
);

test(
  "an utterance that the element can't play is skipped",
  onStage(async (stage) => {
    await stage.start();
    stage.element.refusal = "NotSupportedError";
    await stage.speak(sound("one"), sound("two"));
    stage.element.refusal = null;
    await stage.emit("error");

    assert.equal(stage.now, "two");
    assert.deepEqual(stage.skips, [{ count: 1, reason: "failed" }]);
    assert.equal(stage.blocked, 0);
  }),
);

test(
  "a silence that the element can't play is no utterance",
  onStage(async (stage) => {
    stage.tap();
    await stage.speak(sound("one"));
    await stage.emit("error");

    assert.equal(stage.now, "one");
    assert.deepEqual(stage.skips, []);
  }),
);

test(
  "an utterance that doesn't load, or doesn't go on, is skipped after 8 s",
  onStage(async (stage) => {
    await stage.start();
    stage.answers = { one: "silence" };
    await stage.speak(sound("one"), sound("two"), sound("three"));
    await stage.world.clock.elapse(7);
    assert.equal(stage.now, null);
    await stage.world.clock.elapse(1);
    assert.equal(stage.now, "two");
    await stage.emit("playing");
    await stage.world.clock.elapse(20);
    assert.equal(stage.now, "two");

    await stage.emit("waiting");
    await stage.world.clock.elapse(8);
    assert.equal(stage.now, "three");
    assert.deepEqual(stage.skips, Array(2).fill({ count: 1, reason: "failed" }));
  }),
);

test(
  "audio that the page may not read is played from its URL",
  onStage(async (stage) => {
    await stage.start();
    stage.answers = { one: "forbidden" };
    await stage.speak(sound("one"), sound("two"));

    assert.equal(stage.element.src, "one");
    assert.equal(stage.now, "one");
    await stage.emit("ended");
    assert.equal(stage.now, "two");
  }),
);

test(
  "audio that is part of the caption is played, and its URL is revoked afterwards",
  onStage(async (stage) => {
    await stage.start();
    await stage.speak({ data: "SUQz", contentType: "audio/mpeg" });
    const blob = stage.blobs.get(stage.now);
    assert.equal(blob.type, "audio/mpeg");
    assert.equal(await blob.text(), "ID3");

    await stage.emit("ended");
    assert.deepEqual([...stage.blobs], []);
    await stage.speak({ data: "this isn't base64", contentType: "audio/mpeg" }, sound("two"));
    assert.equal(stage.now, "two");
    assert.deepEqual(stage.skips, [{ count: 1, reason: "failed" }]);
  }),
);

test(
  "a browser that plays nothing without a tap is reported, until the next tap",
  onStage(async (stage) => {
    await stage.start();
    stage.element.refusal = "NotAllowedError";
    await stage.speak(sound("one"), sound("two"));
    assert.equal(stage.blocked, 1);
    assert.equal(stage.listener.playing, false);
    assert.deepEqual([...stage.blobs], []);
    await stage.speak(sound("three"));
    assert.equal(stage.blocked, 1);

    await stage.start();
    await stage.speak(sound("four"));
    assert.equal(stage.now, "four");
    assert.equal(stage.listener.playing, true);
  }),
);

test(
  "a tap goes on with an utterance that the device has interrupted",
  onStage(async (stage) => {
    await stage.start();
    await stage.speak(sound("one"));
    stage.element.pause();
    await stage.start();
    assert.equal(stage.now, "one");

    const { length } = stage.element.played;
    stage.tap();
    assert.equal(stage.element.played.length, length, "another tap changes nothing");
    assert.equal(stage.now, "one");
  }),
);

test(
  "a tap while an utterance loads delays it until the end of the silence",
  onStage(async (stage) => {
    await stage.start();
    let answer;
    stage.answers = { one: new Promise((resolve) => (answer = resolve)) };
    await stage.speak(sound("one"));
    stage.tap();
    answer(200);
    await settle();
    assert.match(stage.now, /^data:/);
    await stage.emit("ended");
    assert.equal(stage.now, "one");
  }),
);

test(
  "what has loaded after close() has no URL",
  onStage(async (stage) => {
    await stage.start();
    let answer;
    stage.answers = { one: new Promise((resolve) => (answer = resolve)) };
    await stage.speak(sound("one"));
    stage.player.close();
    answer(200);
    await settle();
    assert.deepEqual([...stage.blobs], []);
  }),
);

test(
  "another language is heard at once",
  onStage(async (stage) => {
    await stage.start();
    await stage.speak(sound("uno"), sound("dos"), sound("tres"));
    stage.listener.changeLanguage("fr");
    await stage.world.deliver({ type: "languageChanged", targetLanguage: "fr", lastSeq: 3 });
    await stage.caption({ audio: sound("quatre"), language: "fr" });

    assert.equal(stage.now, "quatre");
    assert.deepEqual(stage.loaded, ["quatre"]);
  }),
);

for (const type of ["ended", "error", "playing"]) {
  test(
    `"${type}" of the language before says nothing about the utterance that loads`,
    onStage(async (stage) => {
      await stage.start();
      await stage.speak(sound("uno"));
      stage.listener.changeLanguage("fr");
      await stage.world.deliver({ type: "languageChanged", targetLanguage: "fr", lastSeq: 1 });
      let answer;
      stage.answers = { deux: new Promise((resolve) => (answer = resolve)) };
      await stage.caption({ audio: sound("deux"), language: "fr" });
      assert.equal(stage.now, null);
      await stage.emit(type);
      await stage.world.clock.elapse(7);
      answer(200);
      await settle();

      assert.equal(stage.now, "deux");
      assert.deepEqual(stage.skips, []);
    }),
  );
}

test(
  "an utterance that stands still can't end the load of the next one",
  onStage(async (stage) => {
    await stage.start();
    stage.answers = { two: "silence" };
    await stage.speak(sound("one"), sound("two"), sound("three"));
    await stage.world.clock.elapse(8);
    assert.equal(stage.now, null);
    await stage.emit("playing");
    await stage.world.clock.elapse(8);

    assert.equal(stage.now, "three");
    assert.equal(stage.skips.length, 2);
  }),
);

test(
  "the listener counts as playing from the tap to close(), which leaves nothing alive",
  onStage(async (stage) => {
    await stage.start();
    assert.equal(stage.listener.playing, true);
    stage.answers = { two: "silence" };
    await stage.speak(sound("one"), sound("two"), sound("three"));
    stage.player.close();
    assert.equal(stage.listener.playing, false);
    assert.equal(stage.element.paused, true);
    assert.equal(stage.element.src, null);
    assert.deepEqual([...stage.blobs], []);

    stage.listener.close();
    assert.equal(stage.world.alive.timers, 0);
    stage.tap();
    await stage.emit("ended");
    assert.deepEqual(getEventListeners(stage.element, "ended"), []);
    assert.equal(stage.element.played.length, 2);
    assert.equal(stage.listener.playing, false);
  }),
);
