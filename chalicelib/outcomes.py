"""Requests for deliveries to a connection after the answer to its own event.

A post inside $connect fails with 410, and a post by the function that handles a message would
arrive before its answer. So another function, invoked asynchronously, makes the deliveries.
Source: "How do I troubleshoot 410 Gone errors", AWS Knowledge Center.
"""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from chalicelib import telemetry
from chalicelib.aws.functions import Functions, InvocationFailed
from chalicelib.messages import Message
from chalicelib.status_requests import StatusRequest


@dataclass(frozen=True, slots=True)
class Delivery:
    """Messages to a connection, or its close, after an answer.

    Attributes:
        connection_id: The connection's ID.
        endpoint_url: The URL of the API's @connections.
        messages: The messages to post, in order.
        delay_ms: How long to wait first; 0 for the outcome of a command in the connect URL, which
            is posted as soon as the connection opens.
        closes: Whether to close the connection instead.
        event_id: Identifies the event, which Lambda may deliver more than once.
        trail: The log fields that link the delivery with the event that caused it.
    """

    connection_id: str
    endpoint_url: str
    messages: Sequence[Message] = ()
    delay_ms: int = 0
    closes: bool = False
    event_id: str = field(default_factory=lambda: secrets.token_hex(16))
    trail: Mapping[str, str | None] = field(default_factory=telemetry.find_trail)

    def to_event(self) -> dict[str, Any]:
        """Encode the delivery as a Lambda event."""
        return {
            "id": self.event_id,
            "connectionId": self.connection_id,
            "endpointUrl": self.endpoint_url,
            "messages": list(self.messages),
            "delayMs": self.delay_ms,
            "closes": self.closes,
            "trail": dict(self.trail),
        }

    @classmethod
    def from_event(cls, event: Mapping[str, Any]) -> "Delivery":
        """Parse a Lambda event."""
        return cls(
            event["connectionId"],
            event["endpointUrl"],
            event["messages"],
            event["delayMs"],
            event["closes"],
            event["id"],
            event["trail"],
        )


class Outcomes:
    """Requests deliveries from the function that makes them."""

    def __init__(self, functions: Functions, function_name: str) -> None:
        self._functions = functions
        self._function_name = function_name

    def send(self, delivery: Delivery | StatusRequest) -> None:
        """Request a delivery or a notice of the status. A failure is only logged.

        The answer to the client's next heartbeat names its session, and follow-ups of this
        heartbeat also follow the next one. Another change of the audience, or the sweep, requests a
        notice again.
        """
        try:
            self._functions.invoke_later(self._function_name, delivery.to_event())
        except InvocationFailed as error:
            telemetry.log_warning("outcome not sent", cause=str(error))
