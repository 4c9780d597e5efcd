/** An application for Node, without the types of browsers. It is checked, and never runs. */

import { Listener, Speaker } from "broadcast-sessions-client";

export const listener = new Listener("ws://127.0.0.1", { session: "golden-eagle-427", language: "es" });
export const speaker = new Speaker("ws://127.0.0.1", { token: () => "token" });
