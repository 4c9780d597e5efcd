"""Slices of fan-outs that are too large for one invocation."""

import secrets
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from chalicelib import telemetry
from chalicelib.aws.functions import Functions, InvocationFailed
from chalicelib.background import Background

SLICE_RECEIVERS: Final = 1000
"""The most receivers of one invocation.

With 64 posts of 15 ms at once, they take about 0.3 s. The event of a slice has about 20 KB of
connection IDs and at most 96 KB for a text of 32 KB, whose characters JSON escapes. Lambda accepts
1 MB, and accepted 256 KB until 2025.
Source: Invoke, AWS Lambda API Reference (payload of asynchronous invocations).
"""


@dataclass(frozen=True, slots=True)
class Slice:
    """A part of a fan-out, which one invocation posts.

    Attributes:
        session_id: The session's ID.
        endpoint_url: The URL of the API's @connections.
        connection_ids: The receivers.
        text: The text to post.
        posts_until_ms: When the posts stop, in Unix milliseconds.
        is_end: Whether the text is the notice of the session's end, whose receivers the slice also
            removes.
        event_id: Identifies the event, which Lambda may deliver more than once.
        trail: The log fields that link the slice with the event that caused it.
    """

    session_id: str
    endpoint_url: str
    connection_ids: Sequence[str]
    text: str
    posts_until_ms: int
    is_end: bool = False
    event_id: str = field(default_factory=lambda: secrets.token_hex(16))
    trail: Mapping[str, str | None] = field(default_factory=telemetry.find_trail)

    def to_event(self) -> dict[str, Any]:
        """Encode the slice as a Lambda event."""
        return {
            "id": self.event_id,
            "sessionId": self.session_id,
            "endpointUrl": self.endpoint_url,
            "connectionIds": list(self.connection_ids),
            "text": self.text,
            "postsUntil": self.posts_until_ms,
            "isEnd": self.is_end,
            "trail": dict(self.trail),
        }

    @classmethod
    def from_event(cls, event: Mapping[str, Any]) -> "Slice":
        """Parse a Lambda event."""
        return cls(
            event["sessionId"],
            event["endpointUrl"],
            event["connectionIds"],
            event["text"],
            event["postsUntil"],
            event["isEnd"],
            event["id"],
            event["trail"],
        )


def is_slice(event: Mapping[str, Any]) -> bool:
    """Return whether an event of the function `outcome` is that of a slice."""
    return "connectionIds" in event


class Slices:
    """Requests slices from the function that posts them."""

    def __init__(self, functions: Functions, function_name: str, endpoint_url: str) -> None:
        self._functions = functions
        self._function_name = function_name
        self._endpoint_url = endpoint_url

    def cut(
        self,
        session_id: str,
        connection_ids: Collection[str],
        text: str,
        posts_until_seconds: float,
        *,
        is_end: bool = False,
    ) -> list[Slice]:
        """Cut a fan-out into slices of at most SLICE_RECEIVERS, with each receiver once, in order.

        The index lists a listener twice if its language changes between two pages.
        """
        ids = list(dict.fromkeys(connection_ids))
        make = partial(
            Slice,
            session_id,
            self._endpoint_url,
            text=text,
            posts_until_ms=int(posts_until_seconds * 1000),
            is_end=is_end,
        )
        starts = range(0, len(ids), SLICE_RECEIVERS)
        return [make(connection_ids=ids[start : start + SLICE_RECEIVERS]) for start in starts]

    def send(self, slices: Sequence[Slice]) -> "Sending":
        """Request slices, all at the same time, beside the work of the calling thread."""
        invoke = partial(self._functions.invoke_later, self._function_name)
        return Sending([(each, Background(partial(invoke, each.to_event()))) for each in slices])


class Sending:
    """Requests of slices that are on their way."""

    def __init__(self, requests: Sequence[tuple[Slice, Background]]) -> None:
        self._requests = requests

    def find_refused(self) -> list[Slice]:
        """Wait for the answers, and return the slices that Lambda has not accepted.

        It may have accepted one of them nevertheless, if its answer was lost.
        """
        refused = []
        for part, request in self._requests:
            if (error := request.finish()) is not None:
                is_answer = isinstance(error, InvocationFailed)
                cause = str(error) if is_answer else type(error).__name__
                telemetry.log_warning("slice not sent", cause=cause)
                refused.append(part)
        return refused
