/**
 * @file The JavaScript client in a browser, against a service on this machine.
 *
 * The environment has the service's address, SERVICE_URL, and its origin, SERVICE_ORIGIN, which can
 * differ; a speaker's token, SERVICE_TOKEN; the sign-in page, SIGN_IN_URL and SIGN_IN_CLIENT_ID,
 * with a user, SIGN_IN_USER and SIGN_IN_PASSWORD; and the browser, CHROMIUM.
 */

import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, test } from "node:test";

import { Speaker, inviteLink } from "../../../clients/javascript/src/index.js";
import { Gate } from "./gate.js";
import { openBrowser } from "./chromium.js";
import { openSite } from "./site.js";
import { clip, wav } from "./sounds.js";

const { SERVICE_URL: url, SERVICE_ORIGIN: service, SERVICE_TOKEN: token, CHROMIUM } = process.env;
const { SIGN_IN_URL, SIGN_IN_CLIENT_ID: clientId, SIGN_IN_USER, SIGN_IN_PASSWORD } = process.env;

let site, browser, network, speaker, session;

before(async () => {
  site = await openSite();
  browser = await openBrowser(CHROMIUM);
});

after(async () => {
  await browser?.close();
  site.close();
});

beforeEach(async () => {
  network = await Gate.open(url);
  speaker = new Speaker(url, { token });
  session = await speaker.create("de");
});

afterEach(async () => {
  await setFaults({});
  await speaker.end();
  await browser.closeTabs();
  network.close();
});

function listenerPage(changes) {
  const page = `${site.origin}/listener.html?service=${encodeURIComponent(network.url)}`;
  return inviteLink(page, { ...session, ...changes });
}

async function openListener() {
  const tab = await browser.openTab();
  await tab.page.goto(listenerPage());
  await tab.shows("joined");
  return tab;
}

/** Open a tab for a speaker's pages, which read their options from a global. */
async function openSpeakerTab(options) {
  const tab = await browser.openTab();
  const setOptions = (options) => Object.assign(globalThis, { options });
  await tab.page.addInitScript(setOptions, { service: network.url, ...options });
  return tab;
}

async function openSpeaker() {
  const tab = await openSpeakerTab({ token });
  await tab.page.goto(`${site.origin}/speaker.html`);
  await tab.shows("live");
  return tab;
}

async function countListeners() {
  const { listenerCount } = await speaker.status();
  return listenerCount;
}

/** Replace the local server's faults. */
async function setFaults(faults) {
  const body = JSON.stringify(faults);
  const answer = await fetch(`${service}/_local_gateway/faults`, { method: "PUT", body });
  assert.equal(answer.status, 200);
}

test("a page joins", async () => {
  const tab = await openListener();

  assert.equal(await tab.page.innerText("#state"), "joined");
  assert.deepEqual(tab.states, ["connecting", "joined"]);
  assert.equal(await countListeners(), 1);
});

test("a page shows the reason of a refused join", async () => {
  const tab = await browser.openTab();
  await tab.page.goto(listenerPage({ id: "golden-eagle-427" }));
  await tab.shows("failed: SESSION_NOT_FOUND");

  assert.equal(await tab.page.innerText("#error"), "SESSION_NOT_FOUND");
  assert.equal(tab.sockets.length, 1);
});

const isLanguageChanged = ({ payload }) => payload.includes('"languageChanged"');

test("the page of the README joins, in the language that the listener picks", async () => {
  const tab = await browser.openTab();
  const link = listenerPage().replace("/listener.html", "/readme.html");
  await tab.page.goto(link);
  const status = tab.page.locator("#status");
  await tab.page.selectOption("select", "fr");
  const opened = tab.page.waitForEvent("websocket");
  await tab.page.click("button");
  await status.getByText("joined").waitFor();
  assert.deepEqual((await speaker.status()).languages, { fr: 1 });

  const changed = (await opened).waitForEvent("framereceived", isLanguageChanged);
  await tab.page.selectOption("select", "es");
  await changed;
  await tab.page.reload();
  assert.equal(await tab.page.inputValue("select"), "es");
  await tab.page.click("button");
  await status.getByText("joined").waitFor();
  assert.deepEqual((await speaker.status()).languages, { es: 1 });
});

test("the page of the README joins a session whose ID or link is typed", async () => {
  const tab = await browser.openTab();
  const page = `${site.origin}/readme.html?service=${encodeURIComponent(network.url)}`;
  await tab.page.goto(page);
  const status = tab.page.locator("#status");
  await tab.page.fill("input", "golden eagle 427");
  await tab.page.click("button");
  await status.getByText("failed SESSION_NOT_FOUND").waitFor();

  await tab.page.fill("input", inviteLink(page, session));
  await tab.page.click("button");
  await status.getByText("joined").waitFor();
  assert.equal(await countListeners(), 1);
});

test("a page shows the captions of its speaker", async () => {
  const tab = await browser.openTab();
  await tab.page.goto(listenerPage().replace("/listener.html", "/readme.html"));
  await tab.page.selectOption("select", "fr");
  await tab.page.click("button");
  const status = tab.page.locator("#status");
  await status.getByText("joined").waitFor();
  const captions = tab.page.locator("#captions li");
  await speaker.sendCaption("Guten Morgen");
  await captions.getByText("[fr] Guten Morgen").waitFor();

  network.cut();
  await status.getByText("reconnecting").waitFor();
  await speaker.sendCaption("<b>Willkommen</b>");
  await speaker.sendCaption("an alle");
  await speaker.sendCaption("Wir beginnen");
  await browser.context.clock.runFor(500);
  await captions.getByText("[fr] Wir beginnen").waitFor();

  const said = ["Guten Morgen", "<b>Willkommen</b>", "an alle", "Wir beginnen"];
  assert.deepEqual(
    await captions.allInnerTexts(),
    said.map((text) => `[fr] ${text}`),
  );
});

test("a speaker's page shows that its token is refused", async () => {
  const tab = await openSpeakerTab({ token: `${token}x` });
  await tab.page.goto(`${site.origin}/speaker.html`);
  await tab.shows("failed: UNAUTHORIZED");

  assert.equal(await tab.page.innerText("#error"), "UNAUTHORIZED");
});

test("a page joins again at once when it is online", async () => {
  const tab = await openListener();
  network.isDown = true;
  network.cut();
  await browser.context.setOffline(true);
  await tab.shows("reconnecting: connectionLost");

  network.isDown = false;
  await browser.context.setOffline(false);
  await tab.shows("joined");

  assert.equal(tab.sockets.length, 2);
  assert.equal(await countListeners(), 1);
});

test("a hidden page doesn't dial for ten minutes, and joins again at once when it is visible", async () => {
  const tab = await openListener();
  await tab.hide();
  network.cut();
  await tab.shows("reconnecting: hidden");
  await browser.context.clock.runFor("10:00");
  assert.equal(tab.sockets.length, 1);

  await tab.page.bringToFront();
  await tab.shows("joined");

  assert.equal(tab.sockets.length, 2);
  assert.equal(await countListeners(), 1);
});

test("a hidden page that plays sound joins again", async () => {
  const tab = await openListener();
  await tab.hide();
  await tab.page.evaluate(() => Object.assign(globalThis.listener, { playing: true }).state);
  network.cut();
  await tab.shows("reconnecting: connectionLost");
  await browser.context.clock.runFor(500);
  await tab.shows("joined");

  assert.equal(await tab.page.evaluate(() => document.hidden), true);
});

test("a frozen page whose connection is cut joins again at once when it is visible", async () => {
  const tab = await openListener();
  await tab.freeze();
  network.cut();
  await tab.next("joined", () => tab.page.bringToFront());

  assert.equal(await countListeners(), 1);
});

test("a page that was asleep for ten minutes joins again at once when it is visible", async () => {
  const tab = await openListener();
  await tab.freeze();
  const now = await tab.page.evaluate(() => Date.now());
  await browser.context.clock.setSystemTime(now + 600_000);
  await tab.next("joined", () => tab.page.bringToFront());

  assert.ok(tab.states.includes("reconnecting: slept"));
  assert.equal(await countListeners(), 1);
});

test("a page from the browser's cache joins again at once", async () => {
  const tab = await openListener();
  await tab.page.evaluate(() => Object.assign(globalThis, { isCached: true }).isCached);
  await tab.page.goto(`${service}/`);
  await tab.next("joined", () => tab.page.evaluate(() => history.back()));

  assert.equal(await tab.page.evaluate(() => globalThis.isCached), true);
  assert.equal(await tab.page.evaluate(() => sessionStorage.length), 0);
  assert.equal(await countListeners(), 1);
});

test("a reloaded page keeps its seat", async () => {
  const tab = await openListener();
  // Otherwise the service could free the seat before the page joins anew.
  await setFaults({ disconnect_lost_share: 1 });
  await tab.next("joined", () => tab.page.reload());

  assert.equal(await countListeners(), 1);
});

test("a speaker's page that is reloaded takes its session over", async () => {
  const tab = await openSpeaker();
  const created = await tab.page.evaluate(() => globalThis.speaker.session);
  await tab.next("live", () => tab.page.reload());

  assert.equal(await tab.page.evaluate(() => globalThis.speaker.session), created);
});

test("two tabs have two seats", async () => {
  await openListener();
  await openListener();

  assert.equal(await countListeners(), 2);
});

test("a duplicated tab doesn't take the seat of the first one", async () => {
  const first = await openListener();
  await first.page.evaluate(() => sessionStorage.setItem("isCopied", "true"));
  const second = await first.duplicate();
  await second.shows("joined");

  assert.equal(await second.page.evaluate(() => sessionStorage.getItem("isCopied")), "true");
  assert.equal(await countListeners(), 2);
});

/** What the page of the audio player reports at the end of the silence that a tap plays. */
const SILENCE = "0.0 s at 1";

/** Open the page of the audio player, whose captions come from the test. */
async function openPlayer() {
  const tab = await browser.openTab();
  await tab.page.goto(`${site.origin}/audio.html`);
  await tab.next(SILENCE, () => tab.page.click("button"));
  return tab;
}

async function speak(tab, ...audios) {
  const say = (all) => all.forEach((audio) => globalThis.speak({ language: "es", audio }));
  await tab.page.evaluate(say, audios);
}

test("a page plays captions one after another, faster while more than one waits", async () => {
  const tab = await openPlayer();
  assert.equal(await tab.page.evaluate(() => globalThis.listener.playing), true);
  await tab.page.route("**/two.wav", (route) => route.fulfill({ body: wav(0.3) }));
  await tab.page.evaluate(() => {
    const { createObjectURL } = URL;
    globalThis.urls = [];
    URL.createObjectURL = (blob) => {
      const url = createObjectURL(blob);
      globalThis.urls.push(url);
      return url;
    };
  });

  const sounds = [clip(wav(0.2)), { url: `${site.origin}/two.wav` }, clip(wav(0.4))];
  await tab.next("0.5 s at 1", () => speak(tab, ...sounds, clip(wav(0.5))));

  const ends = ["0.2 s at 1.1", "0.3 s at 1.1", "0.4 s at 1", "0.5 s at 1"];
  assert.deepEqual(tab.states.slice(-4), ends);
  const urls = await tab.page.evaluate(() => globalThis.urls);
  assert.equal(urls.length, 4);
  const fetchAll = async (urls) => {
    const answers = await Promise.allSettled(urls.map((url) => fetch(url)));
    return answers.map(({ status }) => status);
  };
  assert.deepEqual(await tab.page.evaluate(fetchAll, urls), Array(4).fill("rejected"));
});

test("a page skips audio that isn't found or can't be played, and plays the rest", async () => {
  const tab = await openPlayer();
  const unreadable = "http://media.invalid/two.wav"; // It allows no other origin to read it.
  await tab.page.route(unreadable, (route) => route.fulfill({ body: wav(0.3) }));
  await tab.page.route("http://media.invalid/lost.wav", (route) => route.abort());

  const sounds = [
    ...[{ url: `${site.origin}/missing.wav` }, clip(Buffer.from("not a sound"))],
    ...[{ url: unreadable }, { url: "http://media.invalid/lost.wav" }, clip(wav(0.2))],
  ];
  await tab.next("0.2 s at 1", () => speak(tab, ...sounds));

  const failed = "skipped 1: failed";
  const ends = [failed, failed, "0.3 s at 1.1", failed, "0.2 s at 1"];
  assert.deepEqual(tab.states.slice(-5), ends);
});

test("a page without a tap learns that it may not play, and plays after one", async () => {
  const tab = await browser.openTab();
  await tab.page.goto(`${site.origin}/audio.html#untapped`);
  await tab.shows("blocked");

  await tab.next(SILENCE, () => tab.page.click("button"));
  await tab.next("0.2 s at 1", () => speak(tab, clip(wav(0.2))));
});

/** Show the site's pages at the service's origin. The sign-in accepts no other one. */
async function showAtService(page) {
  await page.route(`${service}/**`, async (route) => {
    const url = new URL(route.request().url());
    const path = url.pathname === "/" ? "/speaker.html" : url.pathname;
    await route.fulfill({ response: await route.fetch({ url: site.origin + path }) });
  });
}

test("a speaker signs in on the hosted page, and returns with a renewed token", async () => {
  const redirectUrl = `${service}/`;
  const tab = await openSpeakerTab({ signIn: { url: SIGN_IN_URL, clientId, redirectUrl } });
  await showAtService(tab.page);
  await tab.page.goto(redirectUrl);
  await tab.page.fill("input[name=username]", SIGN_IN_USER);
  await tab.page.fill("input[name=password]", SIGN_IN_PASSWORD);
  await tab.page.click("button[type=submit]");
  await tab.page.waitForURL((it) => it.href.startsWith(redirectUrl));
  await tab.page.reload(); // Playwright doesn't route redirects.
  await tab.shows("live");
  assert.deepEqual(tab.states, ["connecting", "live"]);
  assert.equal(tab.page.url(), redirectUrl);

  await tab.next("live", () => browser.context.clock.fastForward("01:00:00"));

  const [one, two] = tab.sockets.map((it) => new URL(it).searchParams.get("token"));
  assert.ok(two);
  assert.notEqual(two, one);
});
