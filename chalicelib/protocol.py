"""The wire forms of commands and messages, as docs/reference/protocol.md defines them.

mypy holds `messages.py` to these types, a test holds the parser in `commands.py` to them, and
`make asyncapi` generates docs/asyncapi.yaml from them. The Lambda functions never import this
module, so it doesn't slow their cold starts.

In `Annotated`, a text is a description, and a mapping contains keywords of JSON Schema. A name of a
field is the field's name on the wire.
"""

from typing import Annotated, Any, Final, Literal, NamedTuple, NotRequired, TypedDict

from chalicelib.errors import RateLimitExceeded, ServiceError, ServiceUnavailable
from chalicelib.fields import (
    MAX_CAPTION_CHARACTERS,
    MAX_PARAMETER_CHARACTERS,
    MAX_REQUEST_ID_CHARACTERS,
    MAX_WHOLE_NUMBER,
)
from chalicelib.models import Admission, EndReason, QualityTier, Role, SessionStatus

# Parameters of commands.

Parameter = Annotated[str, {"minLength": 1, "maxLength": MAX_PARAMETER_CHARACTERS}]

AskedSessionId = Annotated[
    Parameter,
    "The session's ID in any case, with hyphens, spaces or underscores: `Golden Eagle 427`.",
]
OwnSessionId = Annotated[
    Parameter,
    "The session that you mean. If the connection isn't in it, the answer is `FORBIDDEN`.",
]
LanguageTag = Annotated[
    Parameter, "A BCP 47 tag, such as `navigator.language`. The closest supported code is used."
]
AskedInviteCode = Annotated[
    Parameter, "The session's invite code. Required if the session's admission is `invited`."
]
RequestId = Annotated[
    str,
    "Your ID for the command. The outcome or the error repeats it.",
    {"minLength": 1, "maxLength": MAX_REQUEST_ID_CHARACTERS},
]

# Fields of messages.

SessionId = Annotated[str, "The session's ID, such as `golden-eagle-427`."]
ConnectionId = Annotated[str, "This connection's ID. Name it in your next `refreshConnection`."]
SourceLanguage = Annotated[str, "The code of the language that the speaker speaks."]
TargetLanguage = Annotated[str, "The code of the language that the listener hears."]
InviteCode = Annotated[str, "The code with which listeners join past the limits of an address."]
Seq = Annotated[
    int,
    "The caption's number in its session and language. Numbers begin at 1 and have no gaps.",
    {"minimum": 1},
]
CaptionText = Annotated[
    str,
    "The words, as they are: text, not markup.",
    {"minLength": 1, "maxLength": MAX_CAPTION_CHARACTERS},
]
Status = Annotated[
    SessionStatus,
    "Whether the session is active, paused by its speaker, or waits for its speaker to return.",
    {"enum": ["active", "paused", "interrupted"]},
]
ListenerCount = Annotated[int, "The number of listeners.", {"minimum": 0}]
Languages = Annotated[
    dict[str, Annotated[int, {"minimum": 1}]],
    "The number of listeners of each target language that has any.",
]
HeartbeatSeconds = Annotated[int, "Send a heartbeat every so many seconds.", {"minimum": 1}]
ExpiresAt = Annotated[int, "When the session ends without a heartbeat, in Unix milliseconds."]
RemainingSeconds = Annotated[
    int, "The seconds until API Gateway closes the connection.", {"minimum": 0}
]


class Correlated(TypedDict):
    """Fields that every command can have. The outcome or the error repeats them."""

    requestId: NotRequired[RequestId]


class Timed(TypedDict):
    """Fields that `messages.encode` adds to every message."""

    timestamp: Annotated[int, "When the service wrote the message, in Unix milliseconds."]


class CaptionsInLanguage(TypedDict):
    """Fields that tell a listener what it can expect in its language."""

    lastSeq: Annotated[
        int, "The number of the last caption in this language; 0 if there is none.", {"minimum": 0}
    ]
    hasVoice: Annotated[bool, "Whether speech exists in this language, or only text."]


class CreateSession(TypedDict):
    """Create a session and become its speaker."""

    action: Literal["createSession"]
    sourceLanguage: LanguageTag
    qualityTier: NotRequired[
        Annotated[QualityTier, "The quality of the translation.", {"default": "standard"}]
    ]
    admission: NotRequired[Annotated[Admission, "How listeners join.", {"default": "open"}]]


class JoinSession(TypedDict):
    """Join a session as a listener."""

    action: Literal["joinSession"]
    sessionId: AskedSessionId
    targetLanguage: LanguageTag
    inviteCode: NotRequired[AskedInviteCode]


class RefreshSpeaker(TypedDict):
    """Come back to your session as its speaker, on a new connection with your token."""

    action: Literal["refreshConnection"]
    sessionId: AskedSessionId
    role: Literal[Role.SPEAKER]


class RefreshListener(TypedDict):
    """Come back to a session as a listener, on a new connection, and keep your seat."""

    action: Literal["refreshConnection"]
    sessionId: AskedSessionId
    role: Literal[Role.LISTENER]
    targetLanguage: LanguageTag
    connectionId: NotRequired[
        Annotated[Parameter, "The connection to replace. Without it, the command is a join."]
    ]
    inviteCode: NotRequired[AskedInviteCode]


class Heartbeat(TypedDict):
    """Show that you are present."""

    action: Literal["heartbeat"]


class ChangeLanguage(TypedDict):
    """Change your target language."""

    action: Literal["changeLanguage"]
    targetLanguage: LanguageTag
    sessionId: NotRequired[OwnSessionId]


class GetSessionStatus(TypedDict):
    """Get the status and the audience of your session."""

    action: Literal["getSessionStatus"]
    sessionId: NotRequired[OwnSessionId]


class PauseSession(TypedDict):
    """Pause your session."""

    action: Literal["pauseSession"]
    sessionId: NotRequired[OwnSessionId]


class ResumeSession(TypedDict):
    """Resume your session."""

    action: Literal["resumeSession"]
    sessionId: NotRequired[OwnSessionId]


class RotateInviteCode(TypedDict):
    """Replace the invite code of your session. The old code then admits no one."""

    action: Literal["rotateInviteCode"]
    sessionId: NotRequired[OwnSessionId]


class EndSession(TypedDict):
    """End your session."""

    action: Literal["endSession"]
    sessionId: NotRequired[OwnSessionId]


class SendCaption(TypedDict):
    """Publish a phrase in the speaker's own words, and have it translated."""

    action: Literal["sendCaption"]
    text: CaptionText
    captionId: NotRequired[
        Annotated[
            Parameter,
            "Your ID for the phrase. The same one again gives the same answer, and the phrase is "
            "delivered once.",
        ]
    ]
    sessionId: NotRequired[OwnSessionId]


class GetCaptions(TypedDict):
    """Get the captions that you have missed."""

    action: Literal["getCaptions"]
    afterSeq: Annotated[
        int,
        "The number of the last caption that you have, or that you know to be missed.",
        {"minimum": 0, "maximum": MAX_WHOLE_NUMBER},
    ]
    sessionId: NotRequired[OwnSessionId]


class SessionCreated(TypedDict):
    """Your session exists, and you are its speaker."""

    type: Literal["sessionCreated"]
    sessionId: SessionId
    connectionId: ConnectionId
    sourceLanguage: SourceLanguage
    qualityTier: QualityTier
    admission: Admission
    maxListeners: Annotated[int, "The number of seats.", {"minimum": 1}]
    inviteCode: InviteCode
    expiresAt: ExpiresAt
    heartbeatSeconds: HeartbeatSeconds


class SessionJoined(CaptionsInLanguage):
    """You are a listener of the session."""

    type: Literal["sessionJoined"]
    sessionId: SessionId
    connectionId: ConnectionId
    sourceLanguage: SourceLanguage
    targetLanguage: TargetLanguage
    qualityTier: QualityTier
    status: Status
    heartbeatSeconds: HeartbeatSeconds


class SpeakerRefreshed(TypedDict):
    """This connection is the speaker of the session now."""

    type: Literal["connectionRefreshComplete"]
    sessionId: SessionId
    connectionId: ConnectionId
    role: Literal[Role.SPEAKER]
    status: Status
    inviteCode: InviteCode
    heartbeatSeconds: HeartbeatSeconds


class ListenerRefreshed(CaptionsInLanguage):
    """This connection has the listener's seat now."""

    type: Literal["connectionRefreshComplete"]
    sessionId: SessionId
    connectionId: ConnectionId
    role: Literal[Role.LISTENER]
    status: Status
    sourceLanguage: SourceLanguage
    targetLanguage: TargetLanguage
    heartbeatSeconds: HeartbeatSeconds


class HeartbeatAck(TypedDict):
    """The service has the heartbeat of a connection that isn't in a session, or not any more."""

    type: Literal["heartbeatAck"]
    connectedSeconds: Annotated[int, "The age of the connection, in seconds.", {"minimum": 0}]
    heartbeatSeconds: HeartbeatSeconds


class ListenersHeartbeatAck(HeartbeatAck):
    """The service has the heartbeat of a listener."""

    sessionId: SessionId


class Audience(TypedDict):
    """The fields that show a session and its audience to its speaker."""

    sessionId: SessionId
    status: Status
    listenerCount: ListenerCount
    languages: Languages


class SpeakersHeartbeatAck(HeartbeatAck, Audience):
    """The service has the heartbeat of a speaker."""


class SessionStatusAnswer(Audience):
    """The status and the audience of your session, also as a notice after the audience changed."""

    type: Literal["sessionStatus"]
    createdAt: Annotated[int, "When the session was created, in Unix milliseconds."]
    expiresAt: ExpiresAt


class LanguageChanged(CaptionsInLanguage):
    """Your target language has changed."""

    type: Literal["languageChanged"]
    targetLanguage: TargetLanguage


class CaptionAccepted(TypedDict):
    """The phrase has its number, and goes to its listeners."""

    type: Literal["captionAccepted"]
    sessionId: SessionId
    captionId: Annotated[str, "Your ID for the phrase, or the one that the service has chosen."]
    seq: Seq


class AudioLink(TypedDict):
    """The speech of a caption, to be fetched."""

    url: Annotated[str, "An https URL.", {"minLength": 1}]


class AudioClip(TypedDict):
    """The speech of a caption, as data."""

    data: Annotated[str, "The audio in base64."]
    contentType: Annotated[str, "The audio's media type, such as `audio/mpeg`."]


class Caption(TypedDict):
    """One finished phrase in your language."""

    type: Literal["caption"]
    sessionId: SessionId
    language: Annotated[str, "The code of the language of the text."]
    seq: Seq
    captionId: Annotated[str, "The publisher's ID for the phrase, the same in every language."]
    text: CaptionText
    startedAt: Annotated[
        int, "When the speaker began the phrase, in Unix milliseconds.", {"minimum": 0}
    ]
    durationMs: NotRequired[Annotated[int, "How long it is spoken, in ms.", {"minimum": 0}]]
    audio: NotRequired[AudioLink | AudioClip]


class CaptionsAnswer(TypedDict):
    """The captions that are kept of those that you have missed.

    The answer accounts for every number after `afterSeq` and up to its `lastSeq`: each is in
    `items`, or counted in `missed`.
    """

    type: Literal["captions"]
    targetLanguage: TargetLanguage
    items: Annotated[list[Caption], "The captions, in order."]
    lastSeq: Annotated[
        int,
        "The number up to which this answer accounts for all captions. A later caption can be on "
        "its way.",
        {"minimum": 0},
    ]
    missed: Annotated[int, "How many of the captions are no longer kept.", {"minimum": 0}]
    hasMore: Annotated[
        bool,
        "Whether more captions are kept than fit into a message. Ask again, with this `lastSeq` as "
        "`afterSeq`.",
    ]


class SessionPaused(TypedDict):
    """The speaker has paused the session."""

    type: Literal["sessionPaused"]
    sessionId: SessionId


class SessionResumed(TypedDict):
    """The speaker has resumed the session, or has returned to it."""

    type: Literal["sessionResumed"]
    sessionId: SessionId


class InviteCodeRotated(TypedDict):
    """Your session has a new invite code."""

    type: Literal["inviteCodeRotated"]
    sessionId: SessionId
    inviteCode: InviteCode


class SessionInterrupted(TypedDict):
    """The speaker's connection is gone and can come back."""

    type: Literal["sessionInterrupted"]
    sessionId: SessionId
    graceSeconds: Annotated[
        float, "The session ends after so many seconds, unless the speaker returns.", {"minimum": 0}
    ]


class SessionEnded(TypedDict):
    """The session is over."""

    type: Literal["sessionEnded"]
    sessionId: SessionId
    reason: Annotated[EndReason, "Why it is over."]


class ConnectionRefreshRequired(TypedDict):
    """Move to a new connection with `refreshConnection`."""

    type: Literal["connectionRefreshRequired"]
    sessionId: SessionId
    connectionId: ConnectionId
    role: Role
    remainingSeconds: RemainingSeconds
    targetLanguage: NotRequired[TargetLanguage]


class ConnectionWarning(TypedDict):
    """API Gateway closes the connection soon."""

    type: Literal["connectionWarning"]
    remainingSeconds: RemainingSeconds


class ErrorDetails(TypedDict, total=False):
    """The invalid parameter and its accepted values."""

    field: Annotated[str, "The name of the invalid parameter."]
    supported: Annotated[list[str], "With `UNSUPPORTED_LANGUAGE`: the accepted codes."]


def list_errors() -> list[type[ServiceError]]:
    """Return one error class for each code, in the order of errors.py."""
    return ServiceError.__subclasses__()


class ErrorMessage(TypedDict):
    """The service has refused a command."""

    type: Literal["error"]
    code: Annotated[str, "The reason.", {"enum": [error.code for error in list_errors()]}]
    message: Annotated[str, "A sentence for users."]
    temporary: Annotated[bool, "Whether the same command can succeed later."]
    details: NotRequired[ErrorDetails]
    retryAfter: NotRequired[
        Annotated[int, "The seconds after which the command can succeed.", {"minimum": 1}]
    ]


WITH_RETRY_AFTER: Final = (RateLimitExceeded.code, ServiceUnavailable.code)
"""The codes of the errors that always have `retryAfter`."""


class GatewayError(TypedDict):
    """A function has failed as a whole. API Gateway itself writes this, without a `type`."""

    message: str
    connectionId: str
    requestId: Annotated[str, "API Gateway's ID for the failed request, not yours."]


class Exchange(NamedTuple):
    """A command and its outcome.

    Attributes:
        command: The command's wire form.
        outcome: The outcome's wire form.
        needs_token: Whether only a connection with a token may send the command.
    """

    command: Any
    outcome: Any
    needs_token: bool = False


EXCHANGES: Final = (
    Exchange(CreateSession, SessionCreated, needs_token=True),
    Exchange(JoinSession, SessionJoined),
    Exchange(RefreshSpeaker, SpeakerRefreshed, needs_token=True),
    Exchange(RefreshListener, ListenerRefreshed),
    Exchange(Heartbeat, HeartbeatAck | ListenersHeartbeatAck | SpeakersHeartbeatAck),
    Exchange(ChangeLanguage, LanguageChanged),
    Exchange(GetSessionStatus, SessionStatusAnswer, needs_token=True),
    Exchange(PauseSession, SessionPaused, needs_token=True),
    Exchange(ResumeSession, SessionResumed, needs_token=True),
    Exchange(RotateInviteCode, InviteCodeRotated, needs_token=True),
    Exchange(EndSession, SessionEnded, needs_token=True),
    Exchange(SendCaption, CaptionAccepted, needs_token=True),
    Exchange(GetCaptions, CaptionsAnswer),
)

NOTICES: Final = (
    *(SessionPaused, SessionResumed, SessionInterrupted, SessionEnded),
    *(SessionStatusAnswer, ConnectionRefreshRequired, ConnectionWarning, Caption),
)
"""The messages that the service sends without a command."""
