"""A speaker of a session."""

import re
import uuid
from collections.abc import Mapping
from typing import ClassVar, Final, Self

from broadcast_sessions_client import messages
from broadcast_sessions_client.client import Client
from broadcast_sessions_client.connection import Connection
from broadcast_sessions_client.environment import DEFAULT, Environment
from broadcast_sessions_client.errors import SessionError
from broadcast_sessions_client.events import AudienceChanged, StateChanged
from broadcast_sessions_client.latest_timestamp import LatestTimestamp
from broadcast_sessions_client.messages import Message
from broadcast_sessions_client.sessions import CaptionAccepted, OwnedSession, Session, SessionStatus
from broadcast_sessions_client.tokens import TokenCallback, ask_for_token, is_token

LEAVE_CODE: Final = 4000
"""The service takes it for a drop: the session has the grace period of a lost speaker."""

REFUSED_STATUSES: Final = frozenset({401, 403})
"""The statuses of a handshake whose token is refused."""

SEPARATORS: Final = re.compile(r"[\s_-]+")
"""What can be between the words of a session's ID that people type."""


class Speaker(Client):
    """A speaker that creates a session, or comes back to one, and stays until it ends.

    ```python
    async with Speaker(url, token=fetch_token) as speaker:
        session = await speaker.create("en")
    ```
    """

    _leave_code: ClassVar[int] = LEAVE_CODE
    _shown_statuses: ClassVar[Mapping[str, StateChanged]] = {
        "active": StateChanged("live"),
        "paused": StateChanged("paused", "speakerPaused"),
    }

    def __init__(
        self, url: str, *, token: str | TokenCallback, environment: Environment = DEFAULT
    ) -> None:
        """Make a speaker. It connects when you call `create()` or `take_over()`.

        Args:
            url: The service's URL, which begins with `wss://` or `ws://`.
            token: A token, or a function that returns one. The speaker calls it whenever it
                connects. It can be async. If it isn't, it runs in a thread.
            environment: Replaces the network and the clocks in tests.

        Raises:
            ValueError: The URL or the token can't be right.
        """
        if not (callable(token) or is_token(token)):
            raise ValueError("a speaker needs a token, or a function that returns one")
        self._token = token
        super().__init__(url, environment)

    def _forget(self) -> None:
        super()._forget()
        self._created: Message = {}
        self._invite_code: str | None = None
        self._invite_code_at = LatestTimestamp(self._environment.wall_clock)
        self._audience_at = LatestTimestamp(self._environment.wall_clock)
        self._listener_count = 0
        self._languages: Mapping[str, int] = {}

    @property
    def invite_code(self) -> str | None:
        """The current invite code. None before there is a session."""
        return self._invite_code

    @property
    def listener_count(self) -> int:
        """The number of listeners by the latest report of the service. 0 before."""
        return self._listener_count

    @property
    def languages(self) -> Mapping[str, int]:
        """The number of listeners by language, by the latest report of the service."""
        return self._languages

    async def __aenter__(self) -> Self:
        """Return the speaker. It isn't connected yet."""
        return self

    async def create(
        self,
        source_language: str,
        *,
        quality_tier: str | None = None,
        admission: str | None = None,
    ) -> Session:
        """Create a session.

        Args:
            source_language: A BCP 47 tag of the language that you speak.
            quality_tier: `standard` or `premium`.
            admission: `open`, or `invited` if listeners need the invite code.

        Raises:
            SessionError: The attempt failed. The speaker doesn't try again. If the error is
                temporary, call again after `retry_after_seconds`.
        """
        if self._attempts:
            raise conflict()
        command = {
            "action": "createSession",
            "sourceLanguage": source_language,
            "qualityTier": quality_tier,
            "admission": admission,
        }
        await self._enter({key: value for key, value in command.items() if value is not None})
        created = self._created
        return Session(
            id=messages.text(created, "sessionId"),
            invite_code=messages.text(created, "inviteCode"),
            source_language=messages.text(created, "sourceLanguage"),
            quality_tier=messages.text(created, "qualityTier"),
            admission=messages.text(created, "admission"),
            max_listeners=messages.integer(created, "maxListeners"),
            expires_at=messages.integer(created, "expiresAt"),
        )

    async def take_over(self, session_id: str) -> OwnedSession:
        """Come back to a session of your own, for example after a restart.

        If the speaker is in that session, or is coming back to it, return the session.

        Raises:
            SessionError: The first attempt failed. If the error is temporary, the speaker tries
                again in the background. If the speaker has another session: `CONFLICT`.
        """
        own = self._session or messages.text(self._first_command, "sessionId")
        if self._attempts and canonical_id(session_id) != canonical_id(own):
            raise conflict()
        await self._enter(refresh_of(session_id))
        return OwnedSession(self._session or "", self._invite_code or "", self._status.value)

    async def pause(self) -> None:
        """Pause the session.

        Raises:
            SessionError: The service refused, or the speaker has ended.
        """
        await self._send("pauseSession")

    async def resume(self) -> None:
        """Resume the session.

        Raises:
            SessionError: The service refused, or the speaker has ended.
        """
        await self._send("resumeSession")

    async def end(self) -> None:
        """End the session for everyone. It does nothing if the session has ended.

        Raises:
            SessionError: The service refused, or the speaker has been closed or has failed.
        """
        try:
            await self._send("endSession")
        except SessionError as error:
            if error.code != "SESSION_NOT_FOUND" or self.state != "ended":
                raise

    async def status(self) -> SessionStatus:
        """Return the session's current status and audience.

        Raises:
            SessionError: The service refused, or the speaker has ended.
        """
        outcome = await self._send("getSessionStatus")
        return SessionStatus(
            listener_count=messages.integer(outcome, "listenerCount"),
            languages=messages.counts(outcome, "languages"),
            status=messages.text(outcome, "status"),
            created_at=messages.integer(outcome, "createdAt"),
            expires_at=messages.integer(outcome, "expiresAt"),
        )

    async def send_caption(self, text: str, caption_id: str | None = None) -> CaptionAccepted:
        """Publish a phrase in your own language, and have it translated.

        Args:
            text: The phrase, of at most 1,000 characters.
            caption_id: The phrase's ID. The same ID again publishes nothing, and has the same
                result. By default it is a new one, with which the speaker repeats the command
                after a lost connection.

        Raises:
            SessionError: The service refused, or the speaker has ended.
        """
        own_id = str(uuid.uuid4()) if caption_id is None else caption_id
        outcome = await self._send("sendCaption", text=text, captionId=own_id)
        return CaptionAccepted(own_id, messages.integer(outcome, "seq"))

    async def rotate_invite_code(self) -> str:
        """Replace the invite code, and return the new one. Listeners in the session stay.

        Raises:
            SessionError: The service refused, or the speaker has ended.
        """
        outcome = await self._send("rotateInviteCode")
        return messages.text(outcome, "inviteCode")

    async def _open(self) -> Connection:
        """Open a connection. Ask for another token once, if the service refuses the first."""
        refused = None
        for _ in range(2):
            token = await ask_for_token(self._token, self._tasks)
            if token == refused:
                break
            try:
                return await self._dial({}, {"Authorization": f"Bearer {token}"})
            except SessionError as error:
                if error.details.get("status") not in REFUSED_STATUSES:
                    raise
                refused = token
        raise SessionError("UNAUTHORIZED", "The service refused the token.")

    def _return_command(self) -> Message:
        return refresh_of(self._session) if self._session else self._first_command

    def _goes_on_after(self, error: SessionError) -> bool:
        """Return whether another attempt follows. None follows that of a `create()`."""
        is_creating = self._first_command["action"] == "createSession" and not self._has_entered
        if not (error.temporary and is_creating):
            return super()._goes_on_after(error)
        self._be_idle()
        self._calls.settle(error.with_wait(self._schedule.back_off(error.retry_after_seconds)))
        return False

    def _take_outcome(self, outcome: Message) -> None:
        self._audience_at.reset()
        if outcome["type"] == "sessionCreated":
            self._created = outcome
        self._take_invite_code(outcome)

    def _take_other(self, message: Message) -> None:
        match message["type"]:
            case "inviteCodeRotated":
                self._take_invite_code(message)
            case "heartbeatAck" | "sessionStatus":
                self._take_audience(message)

    def _take_invite_code(self, message: Message) -> None:
        """Keep the invite code, unless a later message has replaced it."""
        invite_code = messages.text(message, "inviteCode")
        if invite_code and self._invite_code_at.accept(message):
            self._invite_code = invite_code

    def _take_audience(self, message: Message) -> None:
        """Keep the audience, and report a change, unless a later message has replaced it."""
        if not self._audience_at.accept(message):
            return
        count = messages.integer(message, "listenerCount")
        languages = messages.counts(message, "languages")
        if (count, languages) != (self._listener_count, self._languages):
            self._listener_count, self._languages = count, languages
            self._buffer.append(AudienceChanged(count, languages))


def refresh_of(session_id: str) -> Message:
    """Return the command that comes back to a session."""
    return {"action": "refreshConnection", "sessionId": session_id, "role": "speaker"}


def canonical_id(session_id: str) -> str:
    """Return a session's ID, which people can type in other ways, as the service writes it."""
    return SEPARATORS.sub("-", session_id.strip()).lower()


def conflict() -> SessionError:
    """Return the error of a call for another session than the speaker's."""
    return SessionError("CONFLICT", "The speaker already has a session.")
