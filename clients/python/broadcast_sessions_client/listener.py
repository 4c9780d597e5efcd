"""A listener of a session."""

from collections.abc import Mapping
from contextlib import suppress
from typing import ClassVar, Self

from broadcast_sessions_client import messages
from broadcast_sessions_client.client import Client
from broadcast_sessions_client.connection import Connection
from broadcast_sessions_client.environment import DEFAULT, Environment
from broadcast_sessions_client.errors import SessionError
from broadcast_sessions_client.events import StateChanged
from broadcast_sessions_client.messages import Message
from broadcast_sessions_client.recovery import Recovery
from broadcast_sessions_client.sessions import Membership


class Listener(Client):
    """A listener that joins a session and stays in it until it ends.

    ```python
    async with Listener(url, session="golden eagle 427", language="es") as listener:
        async for event in listener:
            print(event)
    ```
    """

    _leave_code: ClassVar[int] = 1000
    _shown_statuses: ClassVar[Mapping[str, StateChanged]] = {
        "active": StateChanged("joined"),
        "paused": StateChanged("paused", "speakerPaused"),
        "interrupted": StateChanged("interrupted", "speakerAway"),
    }

    def __init__(
        self,
        url: str,
        *,
        session: str,
        language: str,
        invite: str | None = None,
        environment: Environment = DEFAULT,
    ) -> None:
        """Make a listener. It connects when you call `join()`.

        Args:
            url: The service's URL, which begins with `wss://` or `ws://`.
            session: The session's ID. People may have typed it, as in `Golden Eagle 427`.
            language: A BCP 47 tag of the language to hear, such as `es-AR`.
            invite: The invite code of the link, if it has one.
            environment: Replaces the network and the clocks in tests.

        Raises:
            ValueError: An argument can't be right.
        """
        if not all(isinstance(it, str) and it.strip() for it in (session, language)):
            raise ValueError("a listener needs a session and a language")
        self._given_session = session
        self._language = language
        self._invite = {"inviteCode": invite} if invite else {}
        super().__init__(url, environment)
        self._recovery = Recovery(
            lambda: self._connection, self._on_membership_lost, self._buffer.append, self._tasks
        )

    def _forget(self) -> None:
        super()._forget()
        self._session = self._given_session
        self._connection_id = ""
        self._entered_with = self._language
        self._reset_language = ""
        self._source_language: str | None = None

    @property
    def language(self) -> str:
        """The language's code, or your tag before the service has matched it."""
        return self._language

    @property
    def source_language(self) -> str | None:
        """The code of the language that the speaker speaks. None before the first join."""
        return self._source_language

    async def __aenter__(self) -> Self:
        """Join. A temporary refusal doesn't raise: the listener tries again, and says so."""
        try:
            await self.join()
        except SessionError as error:
            if not error.temporary:
                await self.close()
                raise
        except BaseException:
            await self.close()
            raise
        return self

    async def join(self) -> Membership:
        """Join the session. If the listener has joined, return its membership.

        Raises:
            SessionError: The first attempt failed. If the error is temporary, the listener tries
                again in the background. If you call again before that, the next attempt begins
                at once, unless the service has asked for a wait.
        """
        await self._enter(self._join_command())
        return Membership(
            self._session or "", self._language, self._source_language or "", self._status.value
        )

    async def change_language(self, tag: str) -> str:
        """Hear another language, and return its code.

        Before `join()`, and after a failure or the end of the session, this sets the language of
        the next `join()`, and returns the tag.

        Raises:
            SessionError: The service refused, or the listener has ended or is closed.
            ValueError: The tag is empty.
        """
        if not tag.strip():
            raise ValueError("a listener needs a language")
        if self._attempts or self._is_closed:
            try:
                outcome = await self._send("changeLanguage", targetLanguage=tag)
            except SessionError:
                if self._attempts:
                    self._tasks.start(self._restore_language())
                raise
            return messages.text(outcome, "targetLanguage")
        self._language = tag
        return tag

    async def _open(self) -> Connection:
        query = {"sessionId": self._session or "", **self._invite} if self._invite else {}
        return await self._dial(query, {})

    def _join_command(self) -> Message:
        return {
            "action": "joinSession",
            "sessionId": self._given_session,
            "targetLanguage": self._language,
            **self._invite,
        }

    def _return_command(self) -> Message:
        self._entered_with = self._language
        if not self._connection_id:
            return self._join_command()
        return {
            "action": "refreshConnection",
            "sessionId": self._session,
            "role": "listener",
            "targetLanguage": self._language,
            "connectionId": self._connection_id,
            **self._invite,
        }

    def _take_outcome(self, outcome: Message) -> None:
        chosen = self._language
        self._connection_id = messages.text(outcome, "connectionId") or self._connection_id
        self._language = messages.text(outcome, "targetLanguage") or self._language
        self._source_language = messages.text(outcome, "sourceLanguage")
        self._recovery.enter(self._language, messages.integer(outcome, "lastSeq"))
        if chosen != self._entered_with:
            self._reset_language = chosen
            self._tasks.start(self._restore_language())

    async def _restore_language(self) -> None:
        """Restore a language that has changed on the old connection of a refresh.

        A newer choice that waits or is in flight replaces it, unless the service refuses that one.
        """
        if self._reset_language and self._queue.is_empty:
            language, self._reset_language = self._reset_language, ""
            with suppress(SessionError):
                await self.change_language(language)

    def _take_other(self, message: Message) -> None:
        match message["type"]:
            case "languageChanged":
                self._language = messages.text(message, "targetLanguage") or self._language
                self._reset_language = ""
                self._recovery.change(self._language, messages.integer(message, "lastSeq"))
            case "caption":
                self._recovery.take(message)
            case "captions":
                self._recovery.take_answer(message)

    def _stop(self, close_code: int) -> None:
        super()._stop(close_code)
        self._recovery.stop()
        if self.state == "ended":
            self._recovery.forget()
