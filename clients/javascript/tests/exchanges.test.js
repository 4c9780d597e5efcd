/** @file The recorded exchanges, which the service's tests and the Python client play, too. */

import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { test } from "node:test";

import { played } from "./support/player.js";

const FOLDER = new URL("../../exchanges/", import.meta.url);

const exchanges = readdirSync(FOLDER).map((name) => {
  return { name, ...JSON.parse(readFileSync(new URL(name, FOLDER), "utf8")) };
});
const own = exchanges.filter(({ clients }) => clients?.includes("javascript") ?? true);

test("there are at least 60 exchanges", () => assert.ok(own.length >= 60));

for (const exchange of own) {
  test(`${exchange.name}: ${exchange.title}`, played(exchange));
}
