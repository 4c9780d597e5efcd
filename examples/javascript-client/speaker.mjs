// A speaker on the local server. While `make local` runs, in the root of the repository:
//
//   node --experimental-websocket examples/javascript-client/speaker.mjs en
//
// Type pause, resume, status, rotateInviteCode or end, and Enter. Any other line is a caption, which
// the listeners read. Ctrl-C ends the session, too.

import { execFile } from "node:child_process";
import { createInterface } from "node:readline";
import { promisify } from "node:util";

// An application imports it from "broadcast-sessions-client".
import { SessionError, Speaker, inviteLink } from "../../clients/javascript/src/index.js";

const COMMANDS = ["pause", "resume", "status", "rotateInviteCode", "end"];

const url = `ws://127.0.0.1:${process.env.PORT ?? 8000}/local`;
const [language = "en"] = process.argv.slice(2);
const speaker = new Speaker(url, { token: fetchToken });
const input = createInterface({ input: process.stdin });

// The speaker calls it whenever it connects. A SessionError that isn't temporary is final.
async function fetchToken() {
  try {
    return (await promisify(execFile)("make", ["-s", "token"])).stdout.trim();
  } catch ({ stderr }) {
    throw new SessionError("TOKEN_FAILED", stderr.trim());
  }
}

async function run(line) {
  try {
    if (!COMMANDS.includes(line)) await speaker.sendCaption(line);
    else console.log(`${line}:`, (await speaker[line]()) ?? "done");
  } catch (error) {
    console.error(`${error.code}: ${error.message}`);
  }
}

speaker.on("state", ({ state, reason, retryInSeconds }) => {
  const wait = retryInSeconds ? `, next attempt in ${retryInSeconds.toFixed(1)} s` : "";
  console.log(`${state}${reason ? ` (${reason})` : ""}${wait}`);
  if (state === "ended" || state === "failed") input.close();
});
speaker.on("audience", ({ listenerCount, languages }) => {
  console.log(`listeners: ${listenerCount} ${JSON.stringify(languages)}`);
});
input.on("line", (line) => run(line.trim()));
process.once("SIGINT", () => run("end"));

try {
  const session = await speaker.create(language);
  console.log(`session: ${session.id}`);
  console.log(`link: ${inviteLink("https://listen.example.org/", session)}`);
} catch (error) {
  console.error(`${error.code}: ${error.message}`);
  process.exitCode = 1;
  input.close();
}
