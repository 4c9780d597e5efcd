/** @file A browser whose tabs are hidden and cached as a user's are. */

import { spawn } from "node:child_process";
import { EventEmitter, once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { chromium } from "playwright-core";

const FLAGS = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--disable-popup-blocking",
  // The fake clock waits for a real timer between two fake ones.
  "--disable-background-timer-throttling",
  // Playwright answers requests from no address, and such pages may not reach this machine.
  "--disable-features=LocalNetworkAccessChecks",
  "--remote-debugging-port=0",
];

/**
 * Start Chromium, whose tabs have a clock that only the test moves. If Playwright started it, all
 * tabs would be visible, and no page cached.
 *
 * @param {string} executable
 */
export async function openBrowser(executable) {
  const profile = await mkdtemp(join(tmpdir(), "browser-"));
  const flags = [...FLAGS, `--user-data-dir=${profile}`, "about:blank"];
  const child = spawn(executable, flags, { stdio: ["ignore", "ignore", "pipe"] });
  const connected = await chromium.connectOverCDP(await debuggerOf(child), { noDefaults: true });
  const browser = new Browser(connected.contexts()[0]);
  browser.close = async () => {
    const ended = once(child, "close");
    child.kill();
    await ended;
    await rm(profile, { recursive: true, force: true });
  };
  await browser.start();
  return browser;
}

async function debuggerOf(child) {
  for await (const line of createInterface(child.stderr)) {
    const [, url] = /^DevTools listening on (\S+)/.exec(line) ?? [];
    if (!url) continue;
    child.stderr.resume(); // A full pipe would stop Chromium.
    return url;
  }
  throw new Error("Chromium has ended");
}

const WAIT_MS = 20_000;

class Browser {
  #tabs = new Map();

  constructor(context) {
    this.context = context;
    [this.front] = context.pages();
  }

  async start() {
    const { clock } = this.context;
    await clock.install();
    await clock.pauseAt(Date.now() + 60_000);
    this.context.on("page", (page) => this.tabOf(page));
    await this.context.exposeBinding("report", ({ page }, state) => this.tabOf(page).show(state));
  }

  async openTab() {
    return this.tabOf(await this.context.newPage());
  }

  tabOf(page) {
    if (!this.#tabs.has(page)) this.#tabs.set(page, new Tab(page, this));
    return this.#tabs.get(page);
  }

  async closeTabs() {
    const pages = this.context.pages().filter((page) => page !== this.front);
    await Promise.all(pages.map((page) => page.close()));
  }
}

/** A tab with a page of the client, which reports each state. */
class Tab {
  /** The states of all pages that the tab has shown. */
  states = [];
  /** The URLs of the WebSockets that they have opened. */
  sockets = [];
  #browser;
  #changed = new EventEmitter();

  constructor(page, browser) {
    this.page = page;
    this.#browser = browser;
    page.on("websocket", (socket) => this.sockets.push(socket.url()));
  }

  show(state) {
    this.states.push(state);
    this.#changed.emit("state");
  }

  /** Wait for a state that is the latest one. */
  async shows(state) {
    const signal = AbortSignal.timeout(WAIT_MS);
    while (this.states.at(-1) !== state) {
      await once(this.#changed, "state", { signal }).catch(() => {
        throw new Error(`The states are ${JSON.stringify(this.states)}, without "${state}"`);
      });
    }
  }

  /** Wait for a state after an action. */
  async next(state, action) {
    this.states.push("");
    await action();
    await this.shows(state);
  }

  async hide() {
    await this.#when("visibilitychange", () => this.#browser.front.bringToFront());
  }

  /** Hide and freeze the page, as a phone does. */
  async freeze() {
    await this.hide();
    const devtools = await this.page.context().newCDPSession(this.page);
    const frozen = { state: "frozen" };
    await this.#when("freeze", () => devtools.send("Page.setWebLifecycleState", frozen));
  }

  /** Open a tab with the same page and a copy of its `sessionStorage`. */
  async duplicate() {
    const opened = this.page.waitForEvent("popup");
    await this.page.evaluate(() => window.open(location.href).name);
    return this.#browser.tabOf(await opened);
  }

  async #when(event, action) {
    await this.page.evaluate((event) => {
      globalThis.happened = new Promise((resolve) => {
        document.addEventListener(event, () => resolve(), { once: true });
      });
    }, event);
    await action();
    await this.page.evaluate(() => globalThis.happened);
  }
}
