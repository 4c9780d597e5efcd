// Drives a real browser. Reads a list of steps as JSON from stdin, and prints a list of results.
//
//   step                                  action, and result
//   {"open": url}                         Opens a page. The status, or 0 for a file.
//   {"text": selector}                    Waits for an element. Its text.
//   {"fetch": url, "options": {...}}      Fetches from the open page. The status and text, or an error.
//   {"image": url}                        Shows an image. "loaded" or "not loaded".
//   {"websocket": url}                    Opens a WebSocket. "open" or "refused".
//   {"submit": url, "fields": {...}}      Submits a form into a frame. "answered".
//   {"fill": {selector: value}}           Fills in fields. "filled".
//   {"click": selector, "until": prefix}  Clicks, and waits for a URL that starts with the prefix. The URL.
import { chromium } from "playwright-core";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { json } from "node:stream/consumers";

const FLAGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  // A foreign host name that resolves to this machine, as after DNS rebinding.
  "--host-resolver-rules=MAP evil.example 127.0.0.1",
];

const IN_THE_PAGE = {
  fetch: async ({ fetch: url, options }) => {
    try {
      const response = await fetch(url, options);
      return { status: response.status, text: await response.text() };
    } catch (error) {
      return { error: String(error) };
    }
  },
  image: ({ image }) =>
    new Promise((resolve) => {
      const element = new Image();
      element.onload = () => resolve("loaded");
      element.onerror = () => resolve("not loaded");
      element.src = image;
    }),
  websocket: ({ websocket }) =>
    new Promise((resolve) => {
      const socket = new WebSocket(websocket);
      socket.onopen = () => resolve("open");
      socket.onerror = () => resolve("refused");
    }),
  submit: ({ submit, fields }) =>
    new Promise((resolve) => {
      // createElement makes no HTML form if the page isn't HTML.
      const make = (tag, properties) =>
        Object.assign(document.createElementNS("http://www.w3.org/1999/xhtml", tag), properties);
      const frame = make("iframe", { name: "frame", onload: () => resolve("answered") });
      const form = make("form", { action: submit, method: "post", target: "frame", enctype: "text/plain" });
      for (const [name, value] of Object.entries(fields)) form.append(make("input", { name, value }));
      document.documentElement.append(frame, form);
      form.submit();
    }),
};

async function run(page, step) {
  if (step.open) return (await page.goto(step.open)).status();
  if (step.text) return page.innerText(step.text);
  if (step.fill) {
    for (const [selector, value] of Object.entries(step.fill)) await page.fill(selector, value);
    return "filled";
  }
  if (step.click) {
    await page.click(step.click);
    await page.waitForURL((url) => url.href.startsWith(step.until));
    return page.url();
  }
  const name = Object.keys(IN_THE_PAGE).find((known) => known in step);
  return page.evaluate(IN_THE_PAGE[name], step);
}

const profile = await mkdtemp(join(tmpdir(), "browser-"));
const browser = await chromium.launchPersistentContext(profile, {
  executablePath: process.argv[2],
  args: FLAGS,
  timeout: 60_000,
});
try {
  const page = browser.pages()[0];
  const results = [];
  for (const step of await json(process.stdin)) results.push(await run(page, step));
  console.log(JSON.stringify(results));
} finally {
  await browser.close();
  await rm(profile, { recursive: true, force: true });
}
