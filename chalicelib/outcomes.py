"""Messages that a function cannot send itself, because they have to come after its own answer.

A post made inside $connect answers 410, and one made by a message's function would come before the
message's answer. So a function of its own sends them, invoked asynchronously.
Source: "How do I troubleshoot 410 Gone errors", AWS Knowledge Center.
"""

import secrets
from collections.abc import Sequence

from chalicelib import telemetry
from chalicelib.aws.functions import Functions, InvocationFailed


class Outcomes:
    def __init__(self, functions: Functions, function_name: str) -> None:
        self._functions = functions
        self._function_name = function_name

    def close(self, connection_id: str, endpoint_url: str, delay_ms: int) -> None:
        """Ask for a connection to be closed, no sooner than in `delay_ms`.

        If that fails it is logged, and the connection stays open.
        """
        self._invoke(connection_id, endpoint_url, delay_ms, messages=[], closes=True)

    def send(
        self, connection_id: str, endpoint_url: str, texts: Sequence[str], delay_ms: int = 0
    ) -> None:
        """Ask for messages to be sent, in order, the first no sooner than in `delay_ms`.

        If that fails it is logged, and nobody else need know: the answer to the client's next
        heartbeat names its session, and what followed this one follows that one, too.
        """
        self._invoke(connection_id, endpoint_url, delay_ms, messages=list(texts))

    def _invoke(self, connection_id: str, endpoint_url: str, delay_ms: int, **what: object) -> None:
        event = {
            # Lambda may deliver an event more than once.
            "id": secrets.token_hex(16),
            "connectionId": connection_id,
            "endpointUrl": endpoint_url,
            "delayMs": delay_ms,
            **what,
            **telemetry.find_trail(),
        }
        try:
            self._functions.invoke_later(self._function_name, event)
        except InvocationFailed as error:
            telemetry.log_warning("outcome not sent", cause=str(error))
