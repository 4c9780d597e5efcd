"""The recovery of captions that a listener has missed."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

from broadcast_sessions_client.caption_messages import read_answer, read_caption
from broadcast_sessions_client.captions import Captions
from broadcast_sessions_client.connection import Connection
from broadcast_sessions_client.errors import SessionError
from broadcast_sessions_client.events import Event
from broadcast_sessions_client.messages import Message
from broadcast_sessions_client.task_set import TaskSet

WAIT_SECONDS: Final = 2
"""The time for a missing caption to arrive, and the time between two requests."""


class Recovery:
    """Delivers a listener's captions in order, and requests missing ones.

    At most one request is in flight. While no caption is missing, there is no task and no timer.
    """

    def __init__(
        self,
        connection: Callable[[], Connection | None],
        lost_membership: Callable[[Connection], None],
        deliver: Callable[[Event], None],
        tasks: TaskSet,
    ) -> None:
        """Begin without a language.

        Args:
            connection: Returns the connection in the session, if there is one.
            lost_membership: Called when the service no longer knows that connection.
            deliver: Takes the captions and gaps, in order.
            tasks: Runs the requests.
        """
        self._connection = connection
        self._lost_membership = lost_membership
        self._deliver = deliver
        self._tasks = tasks
        self._captions: Captions | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._request: asyncio.Task[None] | None = None

    def enter(self, language: str, last_seq: int) -> None:
        """Use a new connection, on which a request can start anew.

        Args:
            language: The code of the language on this connection.
            last_seq: The number of the last caption in that language.
        """
        self.stop()
        self.change(language, last_seq)

    def change(self, language: str, last_seq: int) -> None:
        """Begin after a language's last caption. In the same language, recover the ones up to it.

        Args:
            language: The language's code.
            last_seq: The number of the last caption in that language.
        """
        if not self._captions or self._captions.language != language:
            self._captions = Captions(language, last_seq)
        self._captions.expect(last_seq)
        self._request_now()

    def take(self, message: Message) -> None:
        """Take a caption that has arrived."""
        caption = read_caption(message)
        if caption and self._captions:
            self._pass_on(self._captions.add(caption))
            self._wait_if_behind()

    def stop(self) -> None:
        """Request nothing until the next `enter`, which can go on in the same language."""
        self._stop_timer()
        if self._request:
            self._request.cancel()
            self._request = None

    def forget(self) -> None:
        """Forget the language."""
        self._captions = None

    def _stop_timer(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None

    def _pass_on(self, in_order: Sequence[Event]) -> None:
        """Deliver captions and gaps. After them, another caption is missing, or none."""
        if in_order:
            self._stop_timer()
        for event in in_order:
            self._deliver(event)

    def _wait_if_behind(self, longer_seconds: float = 0) -> None:
        """Give a missing caption its time, unless that runs already, or it is requested.

        Args:
            longer_seconds: How much longer the service demands to wait.
        """
        is_behind = self._captions and self._captions.is_behind
        if is_behind and not self._timer and not self._request:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(WAIT_SECONDS + longer_seconds, self._request_now)

    def _request_now(self) -> None:
        """Request what is missing, unless a request is in flight."""
        self._stop_timer()
        if self._captions and self._captions.is_behind and not self._request:
            self._request = self._tasks.start(self._request_missing(self._captions))

    async def _request_missing(self, captions: Captions) -> None:
        """Request what is missing. Without a connection, `enter` does so on the next one."""
        connection = self._connection()
        if not connection:
            self._request = None
            return
        command = {"action": "getCaptions", "afterSeq": captions.last_seq}
        try:
            outcome = await connection.ask(command)
        except SessionError as error:
            self._request = None
            self._take_error(connection, error)
        else:
            self._request = None
            if captions is self._captions:
                self._take_answer(captions, outcome)
            self._wait_if_behind()

    def _take_error(self, connection: Connection, error: SessionError) -> None:
        if error.code == "SESSION_NOT_FOUND":
            self._lost_membership(connection)
        elif not connection.is_lost:
            self._wait_if_behind(error.retry_after_seconds or 0)

    def _take_answer(self, captions: Captions, outcome: Message) -> None:
        """Deliver what an answer has. If the service has more, request that at once."""
        answer = read_answer(outcome, captions.language)
        if not answer:
            return
        is_new = answer.last_seq > captions.last_seq
        self._pass_on(captions.add_missing(answer.captions, answer.last_seq))
        if answer.has_more and is_new:
            captions.expect(answer.last_seq + 1)
            self._request_now()
