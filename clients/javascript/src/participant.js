/** @file What differs between listeners and speakers. */

/** @import { Connection, Message, Outcomes } from "./connection.js" */
/** @import { Entries, Leave } from "./entries.js" */
/** @import { SessionError } from "./errors.js" */
/** @import { Command } from "./messages.js" */
/** @import { Checks } from "./parse.js" */
/** @import { State, StateEvent } from "./shown-state.js" */
/** @import { Open } from "./token.js" */
/**
 * @typedef {object} Participant
 * @property {Record<string, [State, string | null]>} states By the session's status.
 * @property {Outcomes} outcomes Of the commands that the participant sends.
 * @property {Checks} checks Of the fields that only its outcomes have.
 * @property {SessionError} [noSession] The error of commands that precede a session. A listener
 *   sends none.
 * @property {number} leaveCode The close code of `close()`.
 * @property {(open: Open, signal: AbortSignal) => Promise<Connection>} connect
 * @property {() => Command} enterCommand The command that enters the session, or comes back to it.
 * @property {(outcome: Message) => void} entered
 * @property {(message: Message) => void} received
 * @property {(event: StateEvent) => void} changed
 * @property {() => boolean} canDial
 * @property {Entries} entries
 * @property {Leave} leave What the page's next page needs.
 */

export {};
