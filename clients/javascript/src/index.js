/** @file The public interface, except for sign-in and languages. */

export { SessionError } from "./errors.js";
export { inviteLink, readInviteLink } from "./links.js";
export { Listener } from "./listener.js";
export { Speaker } from "./speaker.js";
