/** @file The public interface, except for audio, sign-in and languages. */

/** @typedef {import("./captions.js").Caption} Caption */
/** @typedef {import("./captions.js").Gap} Gap */
/** @typedef {import("./listener.js").ListenerEvents} ListenerEvents */
/** @typedef {import("./listener.js").ListenerOptions} ListenerOptions */
/** @typedef {import("./listener.js").Membership} Membership */
/** @typedef {import("./shown-state.js").State} State */
/** @typedef {import("./shown-state.js").StateEvent} StateEvent */
/** @typedef {import("./speaker.js").Audience} Audience */
/** @typedef {import("./speaker.js").OwnedSession} OwnedSession */
/** @typedef {import("./speaker.js").SentCaption} SentCaption */
/** @typedef {import("./speaker.js").Session} Session */
/** @typedef {import("./speaker.js").SessionOptions} SessionOptions */
/** @typedef {import("./speaker.js").SessionStatus} SessionStatus */
/** @typedef {import("./speaker.js").SpeakerEvents} SpeakerEvents */
/** @typedef {import("./speaker.js").SpeakerOptions} SpeakerOptions */

export { SessionError } from "./errors.js";
export { inviteLink, readInviteLink } from "./links.js";
export { Listener } from "./listener.js";
export { Speaker } from "./speaker.js";
