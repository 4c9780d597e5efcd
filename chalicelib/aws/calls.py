"""Calls of an AWS service within a time limit, with errors by name."""

import json
import re
import time
from collections.abc import Callable, Mapping
from typing import Final, Protocol

from chalicelib.aws.wire import Answer, Steps, Unreachable, run

ATTEMPTS: Final = 2
"""Attempts for each call. All calls are safe to repeat."""

RETRY_DELAY_SECONDS: Final = 0.1
"""Wait before the second attempt, which a throttled service may then accept."""

NO_ANSWER: Final = "NoAnswer"
"""The code of a call without a complete answer in time."""

THROTTLED: Final = frozenset({"SlowDown", "ThrottlingException", "TooManyRequestsException"})
"""Codes with which S3, Polly and Translate refuse a request for load.

Source: "Error responses" (S3), SynthesizeSpeech and TranslateText, API references.
"""

_CODE: Final = re.compile(r"\w{1,64}", re.ASCII)
_XML_CODE: Final = re.compile(rb"<Code>(\w{1,64})</Code>")


class CallFailed(Exception):
    """A service refused a request, failed or did not answer.

    Attributes:
        code: The service's name of the error, `NoAnswer`, or `Status` and the HTTP status.
    """

    def __init__(self, code: str) -> None:
        """Record the code."""
        super().__init__(code)
        self.code = code


class Client(Protocol):
    """Sends requests to one service, as http.SignedClient does."""

    def steps(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        *,
        is_idempotent: bool | None = None,
    ) -> Steps[Answer]:
        """Send a request, as a generator that yields where it must wait."""


class Calls:
    """Calls one service. Thread-safe."""

    def __init__(
        self,
        client: Client,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Create the calls of one service.

        Args:
            client: Sends signed requests. Its own time limits apply to each attempt.
            clock: A monotonic clock in seconds.
            sleep: Waits for a number of seconds.
        """
        self._client = client
        self._clock = clock
        self._sleep = sleep

    def call(
        self, method: str, path: str, body: bytes, headers: Mapping[str, str], ends_at: float
    ) -> Answer:
        """Send a request, and repeat it once if the service is overloaded, fails or is silent.

        Args:
            method: The HTTP method.
            path: The percent-encoded path.
            body: The request's body.
            headers: The request's headers.
            ends_at: The monotonic time at which to give up. A DNS lookup can exceed it.

        Returns:
            The answer, whose status is 200.

        Raises:
            CallFailed: There was no success in time.
        """
        code, attempts_left = NO_ANSWER, ATTEMPTS
        while attempts_left and self._clock() < ends_at:
            attempts_left -= 1
            steps = self._client.steps(method, path, body, headers, is_idempotent=True)
            try:
                answer = run(steps, ends_at)
            except Unreachable:
                code = NO_ANSWER
            else:
                if answer.status == 200:
                    return answer
                code = find_code(answer)
                if answer.status < 500 and answer.status != 429 and code not in THROTTLED:
                    break
            if attempts_left and self._clock() + RETRY_DELAY_SECONDS < ends_at:
                self._sleep(RETRY_DELAY_SECONDS)
            else:
                break
        raise CallFailed(code)


def find_code(answer: Answer) -> str:
    """Return the name of an error, wherever the service's protocol has it.

    Source: the Smithy specification, "AWS restJson1 protocol" and "AWS JSON 1.1 protocol"
    (operation error serialization); "Error responses", Amazon S3 API Reference.
    """
    named = answer.headers.get("x-amzn-errortype") or _find_json_type(answer.body)
    code = named.partition(":")[0].rpartition("#")[2]
    if not code and (found := _XML_CODE.search(answer.body)):
        code = found[1].decode()
    return code if _CODE.fullmatch(code) else f"Status{answer.status}"


def _find_json_type(body: bytes) -> str:
    try:
        parsed = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    named = parsed.get("__type") if isinstance(parsed, dict) else None
    return named if isinstance(named, str) else ""
