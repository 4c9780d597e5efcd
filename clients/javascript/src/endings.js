/** @file The errors with which a client itself rejects calls. */

import { SESSION_NOT_FOUND, SessionError } from "./errors.js";

export const closed = () => new SessionError("CLOSED", "The client is closed");

export const noSession = () =>
  new SessionError("NO_SESSION", "There is no session yet: call create() or takeOver() first");

export const replaced = () =>
  new SessionError("REPLACED", "Another client has taken this one's place");

export const sessionIsOver = () => new SessionError(SESSION_NOT_FOUND, "The session has ended");

export const invalidParameters = () =>
  new SessionError("INVALID_PARAMETERS", "An argument can't be sent");
