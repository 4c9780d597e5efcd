/** @file What the clients add to a page, minified and compressed. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";

import { buildSync } from "esbuild";

const LIMITS = { "index.js": 8746, "listener.js": 6899, "audio.js": 1506 };

for (const [file, limit] of Object.entries(LIMITS)) {
  test(`${file} has at most ${limit} bytes`, (context) => {
    const { outputFiles } = buildSync({
      entryPoints: [fileURLToPath(new URL(`../src/${file}`, import.meta.url))],
      bundle: true,
      format: "esm",
      minify: true,
      write: false,
    });
    const bytes = gzipSync(outputFiles[0].contents, { level: 9 }).length;
    context.diagnostic(`${bytes} bytes`);
    assert.ok(bytes <= limit, `${bytes} bytes`);
  });
}
