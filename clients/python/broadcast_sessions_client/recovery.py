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
        self._request_if_behind()

    def take(self, message: Message) -> None:
        """Take a caption that has arrived."""
        caption = read_caption(message)
        if caption and self._captions:
            self._pass_on(self._captions.add(caption))
            self._wait_if_behind()

    def take_answer(self, message: Message) -> None:
        """Take an answer. One that comes late counts, too."""
        if self._captions and (answer := read_answer(message, self._captions.language)):
            self._pass_on(self._captions.add_missing(answer.captions, answer.last_seq))
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
            self._timer = loop.call_later(WAIT_SECONDS + longer_seconds, self._request_if_behind)

    def _request_if_behind(self) -> None:
        """Request what is missing, unless a request is in flight."""
        self._stop_timer()
        if self._captions and self._captions.is_behind and not self._request:
            self._start_request(self._captions)

    def _start_request(self, captions: Captions) -> None:
        self._request = self._tasks.start(self._request_missing(captions))

    async def _request_missing(self, captions: Captions) -> None:
        """Request what is missing, unless there is no connection until the next `enter`."""
        connection = self._connection()
        if not connection:
            return
        after_seq = captions.last_seq
        try:
            answer = await connection.ask({"action": "getCaptions", "afterSeq": after_seq})
        except SessionError as error:
            self._request = None
            self._take_error(connection, error)
            return
        self._request = None
        has_progressed = captions is self._captions and captions.last_seq > after_seq
        if has_progressed and answer.get("hasMore") is True:
            self._start_request(captions)
        else:
            self._wait_if_behind()

    def _take_error(self, connection: Connection, error: SessionError) -> None:
        if error.code == "SESSION_NOT_FOUND":
            self._lost_membership(connection)
        else:
            self._wait_if_behind(error.retry_after_seconds or 0)
