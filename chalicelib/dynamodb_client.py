"""boto3's DynamoDB client, with what botocore lacks of HTTP: hooks, registered in one place."""

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from botocore.exceptions import HTTPClientError
from urllib3.exceptions import ClosedPoolError

from chalicelib.signed_http import MAX_IDLE_SECONDS

if TYPE_CHECKING:
    from boto3.session import Session
    from botocore.config import Config
    from mypy_boto3_dynamodb import DynamoDBClient


def make_client(
    session: "Session", config: "Config", clock: Callable[[], float] = time.time
) -> "DynamoDBClient":
    """Return a client that reuses no connection after MAX_IDLE_SECONDS, for all threads to share.

    Its ClientErrors have the answer's status, also where the body isn't DynamoDB's. `clock` is the
    wall's: the monotonic clock can stand still while Lambda freezes the process. Source:
    hashicorp/vault-lambda-extension, pull request 150; mbeher2200/DarkHours, pull request 204.
    """
    client = session.client("dynamodb", config=config)
    kept = _KeptConnections(client.close, clock)
    events = client.meta.events
    events.register("before-send.dynamodb", kept.begin)
    events.register("response-received.dynamodb", kept.end)
    # The stubs have hooks return None, but botocore waits for as long as this one says.
    events.register("needs-retry.dynamodb", _retry_what_was_not_sent)  # type: ignore[arg-type]
    events.register("before-parse.dynamodb", _drop_body_of_failure)
    return client


class _KeptConnections:
    """Drops a client's kept connections before one of them has been idle for MAX_IDLE_SECONDS.

    While requests come one by one there is one connection, which is idle since its last answer.
    With several at once it isn't known which took which connection, so all of them count as idle
    since they were opened, at the earliest.
    """

    def __init__(self, close_all: Callable[[], None], clock: Callable[[], float]) -> None:
        self._close_all = close_all
        self._clock = clock
        self._idle_since = clock()
        self._under_way = 0
        self._is_one = True
        self._lock = threading.Lock()

    def begin(self, **_: Any) -> None:
        with self._lock:
            now = self._clock()
            if not 0 <= now - self._idle_since < MAX_IDLE_SECONDS:  # Below 0: it was set back.
                self._close_all()  # Those of requests under way are closed after their answers.
                self._idle_since = now
                self._is_one = True
            self._is_one = self._is_one and not self._under_way
            self._under_way += 1

    def end(self, **_: Any) -> None:
        with self._lock:
            self._under_way -= 1
            if self._is_one:
                self._idle_since = self._clock()


def _retry_what_was_not_sent(caught_exception: Exception | None, **_: Any) -> int | None:
    """Send a request again, after 0 seconds, if another thread has closed its pool before.

    urllib3 1.26, which Lambda's older runtimes have, refuses it then; 2.0 and later don't.
    """
    is_unsent = isinstance(caught_exception, HTTPClientError) and isinstance(
        caught_exception.kwargs.get("error"), ClosedPoolError
    )
    return 0 if is_unsent else None


def _drop_body_of_failure(response_dict: dict[str, Any], **_: Any) -> None:
    """Leave botocore the status: it raises AttributeError for JSON that is no object."""
    if response_dict["status_code"] >= 500:
        response_dict["body"] = b""
