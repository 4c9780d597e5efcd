"""Outcomes, which a separate function sends to the client after a handler's own answer.

A post inside $connect gets a 410. A post from a message's handler would arrive before the handler's
answer. An asynchronously invoked function therefore sends these messages.
Source: "How do I troubleshoot 410 Gone errors", AWS Knowledge Center.
"""

import secrets
from collections.abc import Sequence

from chalicelib import telemetry
from chalicelib.aws.functions import Functions, InvocationFailed


class Outcomes:
    """Invokes the function that sends outcomes."""

    def __init__(self, functions: Functions, function_name: str) -> None:
        """Invoke the function of this name."""
        self._functions = functions
        self._function_name = function_name

    def close(self, connection_id: str, endpoint_url: str, delay_ms: int) -> None:
        """Close a connection later. A failure is logged, and the connection then stays open.

        Args:
            connection_id: The connection's ID.
            endpoint_url: The URL of the stage's @connections API.
            delay_ms: The shortest time to wait, in milliseconds.
        """
        self._invoke(connection_id, endpoint_url, delay_ms, messages=[], closes=True)

    def send(
        self, connection_id: str, endpoint_url: str, texts: Sequence[str], delay_ms: int = 0
    ) -> None:
        """Send messages later, in order.

        A failure is logged and has no other effect. The client recovers with its next heartbeat,
        whose answer names the session and is followed by the same messages.

        Args:
            connection_id: The connection's ID.
            endpoint_url: The URL of the stage's @connections API.
            texts: The encoded messages.
            delay_ms: The shortest time to wait before the first message, in milliseconds.
        """
        self._invoke(connection_id, endpoint_url, delay_ms, messages=list(texts))

    def _invoke(
        self, connection_id: str, endpoint_url: str, delay_ms: int, **fields: object
    ) -> None:
        event = {
            # The receiver recognizes an event that Lambda delivers twice.
            "id": secrets.token_hex(16),
            "connectionId": connection_id,
            "endpointUrl": endpoint_url,
            "delayMs": delay_ms,
            **fields,
            **telemetry.find_trail(),
        }
        try:
            self._functions.invoke_later(self._function_name, event)
        except InvocationFailed as error:
            telemetry.log_warning("outcome not sent", cause=str(error))
