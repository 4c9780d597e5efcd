// Generated from the service's code by `make asyncapi`.

/** Create a session and become its speaker. */
export interface CreateSession {
  action: "createSession";
  /** A BCP 47 tag, such as `navigator.language`. The closest supported code is used. */
  sourceLanguage: string;
  /** The quality of the translation. */
  qualityTier?: "standard" | "premium";
  /** How listeners join. */
  admission?: "open" | "invited";
  /** Your ID for the command. The outcome or the error repeats it. */
  requestId?: string;
}

/** Join a session as a listener. */
export interface JoinSession {
  action: "joinSession";
  /** The session's ID in any case, with hyphens, spaces or underscores: `Golden Eagle 427`. */
  sessionId: string;
  /** A BCP 47 tag, such as `navigator.language`. The closest supported code is used. */
  targetLanguage: string;
  /** The session's invite code. Required if the session's admission is `invited`. */
  inviteCode?: string;
  /** Your ID for the command. The outcome or the error repeats it. */
  requestId?: string;
}

/** Come back to your session as its speaker, on a new connection with your token. */
export interface RefreshSpeaker {
  action: "refreshConnection";
  /** The session's ID in any case, with hyphens, spaces or underscores: `Golden Eagle 427`. */
  sessionId: string;
  role: "speaker";
  /** Your ID for the command. The outcome or the error repeats it. */
  requestId?: string;
}

/** Come back to a session as a listener, on a new connection, and keep your seat. */
export interface RefreshListener {
  action: "refreshConnection";
  /** The session's ID in any case, with hyphens, spaces or underscores: `Golden Eagle 427`. */
  sessionId: string;
  role: "listener";
  /** A BCP 47 tag, such as `navigator.language`. The closest supported code is used. */
  targetLanguage: string;
  /** The connection to replace. Without it, the command is a join. */
  connectionId?: string;
  /** The session's invite code. Required if the session's admission is `invited`. */
  inviteCode?: string;
  /** Your ID for the command. The outcome or the error repeats it. */
  requestId?: string;
}

/** Show that you are present. */
export interface Heartbeat {
  action: "heartbeat";
  /** Your ID for the command. The outcome or the error repeats it. */
  requestId?: string;
}

/** Change your target language. */
export interface ChangeLanguage {
  action: "changeLanguage";
  /** A BCP 47 tag, such as `navigator.language`. The closest supported code is used. */
  targetLanguage: string;
  /** The session that you mean. If the connection isn't in it, the answer is `FORBIDDEN`. */
  sessionId?: string;
  /** Your ID for the command. The outcome or the error repeats it. */
  requestId?: string;
}

/** Get the status and the audience of your session. */
export interface GetSessionStatus {
  action: "getSessionStatus";
  /** The session that you mean. If the connection isn't in it, the answer is `FORBIDDEN`. */
  sessionId?: string;
  /** Your ID for the command. The outcome or the error repeats it. */
  requestId?: string;
}

/** Pause your session. */
export interface PauseSession {
  action: "pauseSession";
  /** The session that you mean. If the connection isn't in it, the answer is `FORBIDDEN`. */
  sessionId?: string;
  /** Your ID for the command. The outcome or the error repeats it. */
  requestId?: string;
}

/** Resume your session. */
export interface ResumeSession {
  action: "resumeSession";
  /** The session that you mean. If the connection isn't in it, the answer is `FORBIDDEN`. */
  sessionId?: string;
  /** Your ID for the command. The outcome or the error repeats it. */
  requestId?: string;
}

/** Replace the invite code of your session. The old code then admits no one. */
export interface RotateInviteCode {
  action: "rotateInviteCode";
  /** The session that you mean. If the connection isn't in it, the answer is `FORBIDDEN`. */
  sessionId?: string;
  /** Your ID for the command. The outcome or the error repeats it. */
  requestId?: string;
}

/** End your session. */
export interface EndSession {
  action: "endSession";
  /** The session that you mean. If the connection isn't in it, the answer is `FORBIDDEN`. */
  sessionId?: string;
  /** Your ID for the command. The outcome or the error repeats it. */
  requestId?: string;
}

/** Publish a phrase in the speaker's own words, and have it translated. */
export interface SendCaption {
  action: "sendCaption";
  /** The words, as they are: text, not markup. */
  text: string;
  /** Your ID for the phrase. The same one again gives the same answer, and the phrase is delivered once. */
  captionId?: string;
  /** The session that you mean. If the connection isn't in it, the answer is `FORBIDDEN`. */
  sessionId?: string;
  /** Your ID for the command. The outcome or the error repeats it. */
  requestId?: string;
}

/** Get the captions that you have missed. */
export interface GetCaptions {
  action: "getCaptions";
  /** The number of the last caption that you have, or that you know to be missed. */
  afterSeq: number;
  /** The session that you mean. If the connection isn't in it, the answer is `FORBIDDEN`. */
  sessionId?: string;
  /** Your ID for the command. The outcome or the error repeats it. */
  requestId?: string;
}

/** Your session exists, and you are its speaker. */
export interface SessionCreated {
  type: "sessionCreated";
  /** The session's ID, such as `golden-eagle-427`. */
  sessionId: string;
  /** This connection's ID. Name it in your next `refreshConnection`. */
  connectionId: string;
  /** The code of the language that the speaker speaks. */
  sourceLanguage: string;
  qualityTier: "standard" | "premium";
  admission: "open" | "invited";
  /** The number of seats. */
  maxListeners: number;
  /** The code with which listeners join past the limits of an address. */
  inviteCode: string;
  /** When the session ends without a heartbeat, in Unix milliseconds. */
  expiresAt: number;
  /** Send a heartbeat every so many seconds. */
  heartbeatSeconds: number;
  /** When the service wrote the message, in Unix milliseconds. */
  timestamp: number;
  /** Your ID for the command. The outcome or the error repeats it. */
  requestId?: string;
}

/** You are a listener of the session. */
export interface SessionJoined {
  type: "sessionJoined";
  /** The number of the last caption in this language; 0 if there is none. */
  lastSeq: number;
  /** Whether speech exists in this language, or only text. */
  hasVoice: boolean;
  /** The session's ID, such as `golden-eagle-427`. */
  sessionId: string;
  /** This connection's ID. Name it in your next `refreshConnection`. */
  connectionId: string;
  /** The code of the language that the speaker speaks. */
  sourceLanguage: string;
  /** The code of the language that the listener hears. */
  targetLanguage: string;
  qualityTier: "standard" | "premium";
  /** Whether the session is active, paused by its speaker, or waits for its speaker to return. */
  status: "active" | "paused" | "interrupted";
  /** Send a heartbeat every so many seconds. */
  heartbeatSeconds: number;
  /** When the service wrote the message, in Unix milliseconds. */
  timestamp: number;
  /** Your ID for the command. The outcome or the error repeats it. */
  requestId?: string;
}

/** This connection is the speaker of the session now. */
export interface SpeakerRefreshed {
  type: "connectionRefreshComplete";
  /** The session's ID, such as `golden-eagle-427`. */
  sessionId: string;
  /** This connection's ID. Name it in your next `refreshConnection`. */
  connectionId: string;
  role: "speaker";
  /** Whether the session is active, paused by its speaker, or waits for its speaker to return. */
  status: "active" | "paused" | "interrupted";
  /** The code with which listeners join past the limits of an address. */
  inviteCode: string;
  /** Send a heartbeat every so many seconds. */
  heartbeatSeconds: number;
  /** When the service wrote the message, in Unix milliseconds. */
  timestamp: number;
  /** Your ID for the command. The outcome or the error repeats it. */
  requestId?: string;
}

/** This connection has the listener's seat now. */
export interface ListenerRefreshed {
  type: "connectionRefreshComplete";
  /** The number of the last caption in this language; 0 if there is none. */
  lastSeq: number;
  /** Whether speech exists in this language, or only text. */
  hasVoice: boolean;
  /** The session's ID, such as `golden-eagle-427`. */
  sessionId: string;
  /** This connection's ID. Name it in your next `refreshConnection`. */
  connectionId: string;
  role: "listener";
  /** Whether the session is active, paused by its speaker, or waits for its speaker to return. */
  status: "active" | "paused" | "interrupted";
  /** The code of the language that the speaker speaks. */
  sourceLanguage: string;
  /** The code of the language that the listener hears. */
  targetLanguage: string;
  /** Send a heartbeat every so many seconds. */
  heartbeatSeconds: number;
  /** When the service wrote the message, in Unix milliseconds. */
  timestamp: number;
  /** Your ID for the command. The outcome or the error repeats it. */
  requestId?: string;
}

/** The service has the heartbeat of a connection that isn't in a session, or not any more. */
export interface HeartbeatAck {
  type: "heartbeatAck";
  /** The age of the connection, in seconds. */
  connectedSeconds: number;
  /** Send a heartbeat every so many seconds. */
  heartbeatSeconds: number;
  /** When the service wrote the message, in Unix milliseconds. */
  timestamp: number;
  /** Your ID for the command. The outcome or the error repeats it. */
  requestId?: string;
}

/** The service has the heartbeat of a listener. */
export interface ListenersHeartbeatAck {
  type: "heartbeatAck";
  /** The age of the connection, in seconds. */
  connectedSeconds: number;
  /** Send a heartbeat every so many seconds. */
  heartbeatSeconds: number;
  /** The session's ID, such as `golden-eagle-427`. */
  sessionId: string;
  /** When the service wrote the message, in Unix milliseconds. */
  timestamp: number;
  /** Your ID for the command. The outcome or the error repeats it. */
  requestId?: string;
}

/** The service has the heartbeat of a speaker. */
export interface SpeakersHeartbeatAck {
  type: "heartbeatAck";
  /** The age of the connection, in seconds. */
  connectedSeconds: number;
  /** Send a heartbeat every so many seconds. */
  heartbeatSeconds: number;
  /** The session's ID, such as `golden-eagle-427`. */
  sessionId: string;
  /** Whether the session is active, paused by its speaker, or waits for its speaker to return. */
  status: "active" | "paused" | "interrupted";
  /** The number of listeners. */
  listenerCount: number;
  /** The number of listeners of each target language that has any. */
  languages: Record<string, number>;
  /** When the service wrote the message, in Unix milliseconds. */
  timestamp: number;
  /** Your ID for the command. The outcome or the error repeats it. */
  requestId?: string;
}

/** Your target language has changed. */
export interface LanguageChanged {
  type: "languageChanged";
  /** The number of the last caption in this language; 0 if there is none. */
  lastSeq: number;
  /** Whether speech exists in this language, or only text. */
  hasVoice: boolean;
  /** The code of the language that the listener hears. */
  targetLanguage: string;
  /** When the service wrote the message, in Unix milliseconds. */
  timestamp: number;
  /** Your ID for the command. The outcome or the error repeats it. */
  requestId?: string;
}

/** The status and the audience of your session, also as a notice after the audience changed. */
export interface SessionStatusAnswer {
  type: "sessionStatus";
  /** The session's ID, such as `golden-eagle-427`. */
  sessionId: string;
  /** Whether the session is active, paused by its speaker, or waits for its speaker to return. */
  status: "active" | "paused" | "interrupted";
  /** The number of listeners. */
  listenerCount: number;
  /** The number of listeners of each target language that has any. */
  languages: Record<string, number>;
  /** When the session was created, in Unix milliseconds. */
  createdAt: number;
  /** When the session ends without a heartbeat, in Unix milliseconds. */
  expiresAt: number;
  /** When the service wrote the message, in Unix milliseconds. */
  timestamp: number;
  /** Your ID for the command. The outcome or the error repeats it. */
  requestId?: string;
}

/** The speaker has paused the session. */
export interface SessionPaused {
  type: "sessionPaused";
  /** The session's ID, such as `golden-eagle-427`. */
  sessionId: string;
  /** When the service wrote the message, in Unix milliseconds. */
  timestamp: number;
  /** Your ID for the command. The outcome or the error repeats it. */
  requestId?: string;
}

/** The speaker has resumed the session, or has returned to it. */
export interface SessionResumed {
  type: "sessionResumed";
  /** The session's ID, such as `golden-eagle-427`. */
  sessionId: string;
  /** When the service wrote the message, in Unix milliseconds. */
  timestamp: number;
  /** Your ID for the command. The outcome or the error repeats it. */
  requestId?: string;
}

/** Your session has a new invite code. */
export interface InviteCodeRotated {
  type: "inviteCodeRotated";
  /** The session's ID, such as `golden-eagle-427`. */
  sessionId: string;
  /** The code with which listeners join past the limits of an address. */
  inviteCode: string;
  /** When the service wrote the message, in Unix milliseconds. */
  timestamp: number;
  /** Your ID for the command. The outcome or the error repeats it. */
  requestId?: string;
}

/** The session is over. */
export interface SessionEnded {
  type: "sessionEnded";
  /** The session's ID, such as `golden-eagle-427`. */
  sessionId: string;
  /** Why it is over. */
  reason: "speakerEnded" | "speakerLost" | "expired";
  /** When the service wrote the message, in Unix milliseconds. */
  timestamp: number;
  /** Your ID for the command. The outcome or the error repeats it. */
  requestId?: string;
}

/** The phrase has its number, and goes to its listeners. */
export interface CaptionAccepted {
  type: "captionAccepted";
  /** The session's ID, such as `golden-eagle-427`. */
  sessionId: string;
  /** Your ID for the phrase, or the one that the service has chosen. */
  captionId: string;
  /** The caption's number in its session and language. Numbers begin at 1 and have no gaps. */
  seq: number;
  /** When the service wrote the message, in Unix milliseconds. */
  timestamp: number;
  /** Your ID for the command. The outcome or the error repeats it. */
  requestId?: string;
}

/** The captions that are kept of those that you have missed. */
export interface CaptionsAnswer {
  type: "captions";
  /** The code of the language that the listener hears. */
  targetLanguage: string;
  /** The captions, in order. */
  items: {
    type: "caption";
    /** The session's ID, such as `golden-eagle-427`. */
    sessionId: string;
    /** The code of the language of the text. */
    language: string;
    /** The caption's number in its session and language. Numbers begin at 1 and have no gaps. */
    seq: number;
    /** The publisher's ID for the phrase, the same in every language. */
    captionId: string;
    /** The words, as they are: text, not markup. */
    text: string;
    /** When the speaker began the phrase, in Unix milliseconds. */
    startedAt: number;
    /** How long it is spoken, in ms. */
    durationMs?: number;
    audio?: {
      /** An https URL. */
      url: string;
    } | {
      /** The audio in base64. */
      data: string;
      /** The audio's media type, such as `audio/mpeg`. */
      contentType: string;
    };
  }[];
  /** The number up to which this answer accounts for all captions. A later caption can be on its way. */
  lastSeq: number;
  /** How many of the captions are no longer kept. */
  missed: number;
  /** Whether more captions are kept than fit into a message. Ask again, with this `lastSeq` as `afterSeq`. */
  hasMore: boolean;
  /** When the service wrote the message, in Unix milliseconds. */
  timestamp: number;
  /** Your ID for the command. The outcome or the error repeats it. */
  requestId?: string;
}

/** The speaker's connection is gone and can come back. */
export interface SessionInterrupted {
  type: "sessionInterrupted";
  /** The session's ID, such as `golden-eagle-427`. */
  sessionId: string;
  /** The session ends after so many seconds, unless the speaker returns. */
  graceSeconds: number;
  /** When the service wrote the message, in Unix milliseconds. */
  timestamp: number;
}

/** Move to a new connection with `refreshConnection`. */
export interface ConnectionRefreshRequired {
  type: "connectionRefreshRequired";
  /** The session's ID, such as `golden-eagle-427`. */
  sessionId: string;
  /** This connection's ID. Name it in your next `refreshConnection`. */
  connectionId: string;
  role: "speaker" | "listener";
  /** The seconds until API Gateway closes the connection. */
  remainingSeconds: number;
  /** The code of the language that the listener hears. */
  targetLanguage?: string;
  /** When the service wrote the message, in Unix milliseconds. */
  timestamp: number;
}

/** API Gateway closes the connection soon. */
export interface ConnectionWarning {
  type: "connectionWarning";
  /** The seconds until API Gateway closes the connection. */
  remainingSeconds: number;
  /** When the service wrote the message, in Unix milliseconds. */
  timestamp: number;
}

/** One finished phrase in your language. */
export interface Caption {
  type: "caption";
  /** The session's ID, such as `golden-eagle-427`. */
  sessionId: string;
  /** The code of the language of the text. */
  language: string;
  /** The caption's number in its session and language. Numbers begin at 1 and have no gaps. */
  seq: number;
  /** The publisher's ID for the phrase, the same in every language. */
  captionId: string;
  /** The words, as they are: text, not markup. */
  text: string;
  /** When the speaker began the phrase, in Unix milliseconds. */
  startedAt: number;
  /** How long it is spoken, in ms. */
  durationMs?: number;
  audio?: {
    /** An https URL. */
    url: string;
  } | {
    /** The audio in base64. */
    data: string;
    /** The audio's media type, such as `audio/mpeg`. */
    contentType: string;
  };
  /** When the service wrote the message, in Unix milliseconds. */
  timestamp: number;
}

/** The service has refused a command. */
export interface ErrorMessage {
  type: "error";
  /** The reason. */
  code: "UNAUTHORIZED" | "FORBIDDEN" | "SESSION_NOT_FOUND" | "INVALID_ACTION" | "INVALID_PARAMETERS" | "INVALID_SESSION_ID" | "UNSUPPORTED_LANGUAGE" | "CONFLICT" | "MESSAGE_TOO_LARGE" | "RATE_LIMIT_EXCEEDED" | "SESSION_FULL" | "SERVICE_UNAVAILABLE" | "INTERNAL_ERROR";
  /** A sentence for users. */
  message: string;
  /** Whether the same command can succeed later. */
  temporary: boolean;
  /** The invalid parameter and its accepted values. */
  details?: {
    /** The name of the invalid parameter. */
    field?: string;
    /** With `UNSUPPORTED_LANGUAGE`: the accepted codes. */
    supported?: string[];
  };
  /** The seconds after which the command can succeed. */
  retryAfter?: number;
  /** When the service wrote the message, in Unix milliseconds. */
  timestamp: number;
  /** Your ID for the command. The outcome or the error repeats it. */
  requestId?: string;
}

/** A function has failed as a whole. API Gateway itself writes this, without a `type`. */
export interface GatewayError {
  message: string;
  connectionId: string;
  /** API Gateway's ID for the failed request, not yours. */
  requestId: string;
}

export type Command =
  | CreateSession
  | JoinSession
  | RefreshSpeaker
  | RefreshListener
  | Heartbeat
  | ChangeLanguage
  | GetSessionStatus
  | PauseSession
  | ResumeSession
  | RotateInviteCode
  | EndSession
  | SendCaption
  | GetCaptions;

export type Message =
  | SessionCreated
  | SessionJoined
  | SpeakerRefreshed
  | ListenerRefreshed
  | HeartbeatAck
  | ListenersHeartbeatAck
  | SpeakersHeartbeatAck
  | LanguageChanged
  | SessionStatusAnswer
  | SessionPaused
  | SessionResumed
  | InviteCodeRotated
  | SessionEnded
  | CaptionAccepted
  | CaptionsAnswer
  | SessionInterrupted
  | ConnectionRefreshRequired
  | ConnectionWarning
  | Caption
  | ErrorMessage;

export type ErrorCode = ErrorMessage["code"];
