/** @file The state machine of a participant, which the listener and the speaker share. */

import { Attempt } from "./attempt.js";
import { Commands } from "./commands.js";
import { dialer } from "./dialer.js";
import * as endings from "./endings.js";
import { CONNECTION_FAILED, NO_ANSWER, SESSION_NOT_FOUND, ownCode, reasonOf } from "./errors.js";
import { watchPage } from "./page.js";
import { PendingCalls } from "./pending-calls.js";
import { Replacement } from "./replacement.js";
import { Schedule } from "./schedule.js";
import { ShownState } from "./shown-state.js";
import { Status } from "./status.js";

/** @import { Answered, Connection, Message, WebSocketClass } from "./connection.js" */
/** @import { SessionError } from "./errors.js" */
/** @import { Command } from "./messages.js" */
/** @import { Participant } from "./participant.js" */

/** After this time in the session, a lost connection is no longer a failed attempt. */
const STABLE_MS = 5000;

/** The time for the acknowledgement after the network has changed. */
const ONLINE_ACKNOWLEDGED_SECONDS = 3;

export class Client {
  isClosed = false;
  schedule;
  shown;
  status;
  commands = new Commands(
    (connection) => this.#isGone(connection, "noAnswer"),
    (connection) => this.#membershipLost(connection),
  );

  #open;
  #participant;

  /** @type {Connection | null} The one in the session. */
  #connection = null;
  /** @type {number | null} */
  #enteredAt = null;
  /** Whether nothing has arrived since the page or the network came back. */
  #isUncertain = false;

  /** @type {Attempt | null} The one in progress. */
  #attempt = null;
  /** Why there is no connection. Empty during the first attempt. */
  #cause = "";
  #refreshReason = "";
  #keepsTrying = true;
  #calls = new PendingCalls();
  #replacement = new Replacement();
  /** @type {SessionError | null | undefined} The reason why all calls are rejected. */
  #end;
  /** @type {(() => void) | null} */
  #stopWatching = null;

  /**
   * @param {string} url
   * @param {Participant} participant
   * @param {WebSocketClass} [WebSocket] The global class by default.
   */
  constructor(url, participant, WebSocket) {
    this.#open = dialer(url, WebSocket);
    this.#participant = participant;
    this.#end = participant.noSession;
    this.shown = new ShownState(participant.changed);
    this.status = new Status(participant.states, () => this.#refresh("interruptedTooLong"));
    this.schedule = new Schedule(
      participant.canDial,
      () => this.#dial(),
      () => this.#update(),
    );
  }

  get isRunning() {
    return this.#stopWatching !== null;
  }

  /**
   * Enter the session. It settles with the first attempt that ends.
   *
   * @param {boolean} keepsTrying Whether to keep trying after a temporary failure.
   * @returns {Promise<void>}
   */
  enter(keepsTrying) {
    if (this.isClosed) return Promise.reject(endings.closed());
    if (this.#connection) return Promise.resolve();
    const entered = this.#calls.add();
    if (this.isRunning) this.schedule.hurry();
    else this.#start(keepsTrying);
    return entered;
  }

  /**
   * Send a command once the client is in the session.
   *
   * @param {Command} command
   * @returns {Promise<Message>} Its outcome. Rejects at once if the client isn't running.
   */
  ask(command) {
    return this.#end ? Promise.reject(this.#end) : this.commands.ask(command);
  }

  /**
   * Send a command that isn't the application's, unless there is no connection in the session.
   *
   * @param {Command} command
   * @param {Answered} answered Called with the outcome or the error.
   */
  send(command, answered) {
    const connection = this.#connection;
    connection?.send(command, (answer) => {
      if (answer.code === SESSION_NOT_FOUND) this.#membershipLost(connection);
      answered(answer);
    });
  }

  close() {
    const hasEnded = this.shown.state === "ended" || this.shown.state === "failed";
    this.isClosed = true;
    if (hasEnded) this.#end = endings.closed();
    else this.#finish("ended", endings.closed(), this.#participant.leaveCode, "closed");
  }

  /** @param {boolean} keepsTrying */
  #start(keepsTrying) {
    this.#keepsTrying = keepsTrying;
    this.#end = null;
    this.#cause = "";
    this.status.reset();
    this.#enteredAt = null;
    this.#replacement.reset();
    this.#participant.entries.leaving.add(this.#participant.leave);
    this.#stopWatching = watchPage({
      online: () => this.#isOnline(),
      visible: () => this.#pageIsBack(),
      hidden: () => this.schedule.suspend(),
    });
    this.#dial();
  }

  /** @param {number} [seconds] The time for an acknowledgement. */
  #pageIsBack(seconds) {
    this.#connection?.check(seconds);
    this.#isUncertain = true;
    if (this.#connection) this.schedule.wake();
    else this.schedule.hurry();
  }

  #isOnline() {
    const attempt = this.#attempt;
    this.#pageIsBack(ONLINE_ACKNOWLEDGED_SECONDS);
    if (!attempt?.isOpening || attempt !== this.#attempt || !this.#participant.canDial()) return;
    this.#cancelAttempt(1000); // It can hang on the network that is gone.
    this.#dial();
  }

  // Attempts

  async #dial() {
    const attempt = new Attempt(this.#participant, (credentials) => this.#connect(credentials));
    this.#attempt = attempt;
    this.#isUncertain = false;
    if (!this.#connection) this.status.expectAny();
    this.commands.hold();
    this.#update();
    try {
      await attempt.enter((connection, outcome) => this.#entered(connection, outcome));
    } catch (error) {
      if (this.#attempt === attempt) this.#attemptFailed(/** @type {SessionError} */ (error));
    }
  }

  /** @param {Record<string, string>} credentials */
  #connect(credentials) {
    /** @type {Connection} */
    const connection = this.#open(credentials, {
      outcomes: this.#participant.outcomes,
      checks: this.#participant.checks,
      received: (message) => this.#received(connection, message),
      lost: () => this.#isGone(connection, "connectionLost"),
    });
    return connection;
  }

  /**
   * @param {Connection} connection
   * @param {Message} outcome
   */
  #entered(connection, outcome) {
    const replaced = this.#connection;
    this.#attempt = null;
    this.#connection = connection;
    this.#enteredAt = performance.now();
    this.#keepsTrying = true;
    connection.startHeartbeats(outcome, (reason) => this.#isGone(connection, reason));
    replaced?.close();
    this.status.apply(outcome);
    this.#participant.entered(outcome);
    this.#update();
    this.#calls.settle();
    this.commands.use(connection);
  }

  /** @param {SessionError} error */
  #attemptFailed(error) {
    const code = ownCode(error);
    const mayHaveEntered = code === NO_ANSWER && this.#keepsTrying;
    this.#cancelAttempt(mayHaveEntered ? this.#participant.leaveCode : 1000);
    if (!error.temporary) {
      const isRefusal = code === null && error.code === SESSION_NOT_FOUND;
      const isOver = isRefusal && this.#enteredAt !== null;
      if (isOver) return this.#finish("ended", error);
      return this.#finish("failed", error, this.#participant.leaveCode);
    }
    const isOutdated = this.#isUncertain && this.#cause && code === CONNECTION_FAILED;
    error.retryAfterSeconds = isOutdated ? 0 : this.schedule.backOff(error.retryAfterSeconds);
    this.#cause = reasonOf(error);
    this.#calls.settle(error);
    if (this.#connection) this.commands.use(this.#connection);
    if (this.#keepsTrying) {
      this.schedule.wait(error.retryAfterSeconds);
    } else {
      this.#end = this.#participant.noSession;
      this.#stop(1000);
      this.shown.show("idle");
      if (this.#end) this.commands.reject(this.#end);
    }
  }

  /** @param {number} code */
  #cancelAttempt(code) {
    this.#attempt?.cancel(code);
    this.#attempt = null;
    this.schedule.cancel();
  }

  // The connection in the session

  /**
   * @param {Connection} connection
   * @param {Message} message
   */
  #received(connection, message) {
    this.#isUncertain = false;
    if (message.type === "sessionEnded") {
      this.#finish("ended", endings.sessionIsOver(), 1000, message.reason ?? null);
    } else if (message.type === "connectionRefreshRequired") {
      this.#refresh("refreshRequired");
    } else if (message.type === "heartbeatAck" && !message.sessionId) {
      this.#membershipLost(connection);
    } else {
      if (this.status.apply(message)) this.#update();
      this.#participant.received(message);
    }
  }

  /**
   * @param {Connection} connection
   * @param {"connectionLost" | "noAnswer" | "slept" | "membershipLost"} reason
   */
  #isGone(connection, reason) {
    if (connection !== this.#connection) return;
    this.#leave(this.#participant.leaveCode);
    this.commands.hold();
    this.#cause = reason;
    const isOver = reason === "slept" || reason === "membershipLost";
    if (isOver && this.#attempt) this.#cancelAttempt(this.#participant.leaveCode);
    if (isOver) this.schedule.hurry();
    // A page that was frozen or cached learns of a lost connection when it is back.
    this.#reenter(isOver || (reason === "connectionLost" && this.#isUncertain));
  }

  /** @param {Connection} connection */
  #membershipLost(connection) {
    // During an attempt, that is what a superseded connection answers.
    if (this.#attempt || connection !== this.#connection) return;
    if (this.#replacement.count()) this.#finish("failed", endings.replaced());
    else this.#isGone(connection, "membershipLost");
  }

  /** @param {"refreshRequired" | "interruptedTooLong"} reason */
  #refresh(reason) {
    if (this.#attempt || this.schedule.isWaiting) return;
    this.#refreshReason = reason;
    this.#reenter(this.#isStable);
  }

  /**
   * Begin to come back into the session, unless that has begun.
   *
   * @param {boolean} atOnce
   */
  #reenter(atOnce) {
    if (this.#attempt || this.schedule.isWaiting) return this.#update();
    if (this.#isStable) this.schedule.reset();
    this.schedule.wait(atOnce ? 0 : this.schedule.backOff());
  }

  get #isStable() {
    return performance.now() - (this.#enteredAt ?? 0) >= STABLE_MS;
  }

  /** @param {number} code */
  #leave(code) {
    this.#connection?.close(code);
    this.#connection = null;
  }

  // What the application sees

  /** Show the state that follows from the fields. */
  #update() {
    if (this.#connection && this.#attempt) {
      this.shown.show("refreshing", this.#refreshReason);
    } else if (this.#connection) {
      this.shown.show(...this.#participant.states[this.status.value]);
    } else if (!this.#cause) {
      this.shown.show("connecting");
    } else {
      const seconds = this.schedule.secondsLeft;
      this.shown.show("reconnecting", seconds === null ? "hidden" : this.#cause, seconds);
    }
  }

  /**
   * @param {"ended" | "failed"} state
   * @param {SessionError} error The error of all calls from now on.
   * @param {number} [code]
   * @param {string | null} [reason]
   */
  #finish(state, error, code = 1000, reason = error.code) {
    this.#end = error;
    this.schedule.reset();
    this.#stop(code);
    this.shown.show(state, reason);
    this.#calls.settle(error);
    this.commands.reject(error);
  }

  /** @param {number} code */
  #stop(code) {
    this.#cancelAttempt(code);
    this.#leave(code);
    this.status.stop();
    this.#participant.entries.leaving.delete(this.#participant.leave);
    this.#stopWatching?.();
    this.#stopWatching = null;
  }
}
