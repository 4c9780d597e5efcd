// A listener on the local server, which joins a session by its ID or its link. While `make local`
// and a speaker run, in the root of the repository:
//
//   node --experimental-websocket examples/javascript-client/listener.mjs golden-eagle-427 es
//
// Type another language and Enter to change it. Press Ctrl-C to leave.

import { createInterface } from "node:readline";

// An application imports it from "broadcast-sessions-client".
import { Listener, readInviteLink } from "../../clients/javascript/src/index.js";

const [idOrLink, language = "es"] = process.argv.slice(2);
if (!idOrLink) {
  console.error("usage: listener.mjs SESSION_OR_LINK [LANGUAGE]");
  process.exit(2);
}

const url = `ws://127.0.0.1:${process.env.PORT ?? 8000}/local`;
const invitation = readInviteLink(idOrLink) ?? { session: idOrLink };
const listener = new Listener(url, { ...invitation, language });
const input = createInterface({ input: process.stdin });

listener.on("state", ({ state, reason, retryInSeconds }) => {
  const wait = retryInSeconds ? `, next attempt in ${retryInSeconds.toFixed(1)} s` : "";
  console.log(`${state}${reason ? ` (${reason})` : ""}${wait}`);
  if (state === "ended" || state === "failed") input.close();
});
listener.on("caption", ({ text }) => console.log(text));
listener.on("gap", ({ count }) => console.log(`(${count} missed)`));

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
