// A speaker on the local server, which gets its tokens from `make -s token`:
//
//   node --experimental-websocket examples/javascript-client/speaker.mjs \
//     ws://127.0.0.1:8000/local en [TOKEN]
//
// Type pause, resume, status, rotateInviteCode or end, and Enter. Press Ctrl+C to leave: the
// session stays for a minute.

import { execFile } from "node:child_process";
import { createInterface } from "node:readline";
import { promisify } from "node:util";

// An application imports it from "broadcast-sessions-client".
import { Speaker, inviteLink } from "../../clients/javascript/src/index.js";

const COMMANDS = ["pause", "resume", "status", "rotateInviteCode", "end"];

const [url, language, token = makeToken] = process.argv.slice(2);
if (!language) {
  console.error("speaker: usage: speaker.mjs URL LANGUAGE [TOKEN]");
  process.exit(2);
}

async function makeToken() {
  const port = `PORT=${new URL(url).port}`;
  const { stdout } = await promisify(execFile)("make", ["-s", "token", port]);
  return stdout.trim();
}

const speaker = new Speaker(url, { token });
const input = createInterface({ input: process.stdin });

speaker.on("state", ({ state, reason, retryInSeconds }) => {
  const retry = retryInSeconds ? `, next attempt in ${retryInSeconds.toFixed(1)} s` : "";
  console.log(`${state}${reason ? ` (${reason})` : ""}${retry}`);
  if (state === "ended" || state === "failed") input.close();
});
speaker.on("audience", ({ listenerCount, languages }) => console.log(listenerCount, languages));

input.on("line", async (line) => {
  const command = line.trim();
  if (!COMMANDS.includes(command)) return console.error(`type one of ${COMMANDS.join(", ")}`);
  try {
    console.log(`${command}:`, (await speaker[command]()) ?? "done");
  } catch (error) {
    console.error(`${error.code}: ${error.message}`);
  }
});
process.on("SIGINT", () => speaker.close());

try {
  const session = await speaker.create(language);
  console.log(`the session is ${session.id}`);
  console.log(`invite listeners by ${inviteLink("https://listen.example.org/", session)}`);
} catch (error) {
  console.error(`${error.code}: ${error.message}`);
  process.exitCode = 1;
  input.close();
}
