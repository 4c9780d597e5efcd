/** @file A scripted server behind a class with the interface of the browser's `WebSocket`. */

export class Server {
  /** @type {FakeSocket[]} In the order of opening. */
  sockets = [];

  /** The class to give to a client. */
  get WebSocket() {
    const { sockets } = this;
    return class extends FakeSocket {
      constructor(url) {
        super(url);
        sockets.push(this);
      }
    };
  }

  get open() {
    return this.sockets.filter(({ state }) => state === "open");
  }

  /** The page of all clients is gone. */
  disconnectAll() {
    this.sockets.forEach((socket) => Object.assign(socket, { state: "closed", onclose: null }));
  }
}

class FakeSocket {
  onopen = null;
  onmessage = null;
  onerror = null;
  onclose = null;
  /** @type {"connecting" | "open" | "closed"} */
  state = "connecting";
  /** @type {object[]} What the client has sent, without `requestId`. */
  frames = [];
  /** @type {number[]} The codes with which the client has closed it. */
  closes = [];
  /** @type {{ action: string, requestId: string }[]} */
  unanswered = [];

  constructor(url) {
    this.url = new URL(url);
  }

  // The client's side

  send(text) {
    if (this.state !== "open") return;
    const { requestId, ...frame } = JSON.parse(text);
    if (typeof requestId !== "string" || !requestId) throw new Error("a frame has no requestId");
    this.unanswered.push({ action: frame.action, requestId });
    this.frames.push(frame);
  }

  close(code) {
    if (code !== 1000 && !(code >= 3000 && code < 5000)) throw new Error(`close(${code})`);
    if (this.state === "open") this.closes.push(code);
    this.state = "closed";
  }

  // The server's side

  accept() {
    this.state = "open";
    this.onopen?.({});
  }

  refuse() {
    this.onerror?.({});
    this.drop(1006);
  }

  drop(code) {
    if (this.state === "closed") return;
    this.state = "closed";
    this.onclose?.({ code });
  }

  /** Send a message. An answer gets the ID of the command that it belongs to. */
  deliver(message, bytes = 0) {
    if (typeof message === "object") {
      const answered = this.#takeAnswered(message);
      const requestId = message.type && answered?.requestId;
      message = JSON.stringify({ ...(requestId && { requestId }), ...message });
    }
    if (this.state === "open") this.onmessage?.({ data: message.padEnd(bytes) });
  }

  #takeAnswered(message) {
    const { unanswered } = this;
    const answered =
      unanswered.find((command) => isAnswer(message, command)) ??
      unanswered.find(() => isFailure(message));
    this.unanswered = unanswered.filter((command) => command !== answered);
    return answered;
  }
}

const OUTCOMES = {
  createSession: "sessionCreated",
  joinSession: "sessionJoined",
  refreshConnection: "connectionRefreshComplete",
  heartbeat: "heartbeatAck",
  changeLanguage: "languageChanged",
  getSessionStatus: "sessionStatus",
  pauseSession: "sessionPaused",
  resumeSession: "sessionResumed",
  rotateInviteCode: "inviteCodeRotated",
  endSession: "sessionEnded",
  sendCaption: "captionAccepted",
  getCaptions: "captions",
};

/** A failure answers the oldest command. The one of API Gateway has a `requestId` of its own. */
const isFailure = ({ type, requestId }) => !type || (type === "error" && requestId === undefined);

/** A failure answers a heartbeat only if no other command waits. */
function isAnswer(message, command) {
  if (isFailure(message)) return command.action !== "heartbeat";
  if (message.requestId !== undefined) return command.requestId === message.requestId;
  return OUTCOMES[command.action] === message.type;
}
