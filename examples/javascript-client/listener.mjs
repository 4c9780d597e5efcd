// A listener of a session:
//
//   node --experimental-websocket examples/javascript-client/listener.mjs \
//     ws://127.0.0.1:8000/local golden-eagle-427 es [INVITE_CODE]
//
// Type another language and Enter to change it. Press Ctrl+C to leave.

import { createInterface } from "node:readline";

// An application imports it from "broadcast-sessions-client".
import { Listener } from "../../clients/javascript/src/index.js";

const [url, session, language, invite] = process.argv.slice(2);
if (!language) {
  console.error("listener: usage: listener.mjs URL SESSION LANGUAGE [INVITE_CODE]");
  process.exit(2);
}

const listener = new Listener(url, { session, language, invite });
const input = createInterface({ input: process.stdin });

listener.on("state", ({ state, reason, retryInSeconds }) => {
  const retry = retryInSeconds ? `, next attempt in ${retryInSeconds.toFixed(1)} s` : "";
  console.log(`${state}${reason ? ` (${reason})` : ""}${retry}`);
  if (state === "ended" || state === "failed") input.close();
});

input.on("line", async (line) => {
  try {
    console.log(`you hear ${await listener.changeLanguage(line.trim())}`);
  } catch (error) {
    console.error(`${error.code}: ${error.message}`);
  }
});
process.on("SIGINT", () => listener.close());

try {
  const joined = await listener.join();
  console.log(`you hear ${joined.language} in ${joined.id}, spoken in ${joined.sourceLanguage}`);
} catch (error) {
  console.error(`${error.code}: ${error.message}`);
  if (!error.temporary) process.exitCode = 1;
}
