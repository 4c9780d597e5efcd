"""Tables of sessions and listeners for the local server's view.

They are read through AWS_ENDPOINT_URL, where the faults for the application don't apply.
"""

import time
from collections import Counter
from collections.abc import Mapping
from functools import cache
from itertools import islice
from typing import Any, Final

from chalicelib.aws.dynamodb import DynamoDB
from chalicelib.aws.http import SignedClient
from chalicelib.aws.retries import Retries
from chalicelib.aws.signing import Credentials
from chalicelib.models import Session
from chalicelib.store.sessions import SessionStore
from chalicelib.store.table import Table
from local_gateway import aws

TIMEOUT_SECONDS: Final = 2
MAX_SCANNED: Final = 1000
"""The largest number of session items that one view reads."""

MAX_SESSIONS: Final = 12
"""The number of latest sessions that are shown. Listeners are counted for these only."""

ShownTable = tuple[str, tuple[str, ...], list[tuple[Any, ...]]]
"""A title, the names of the columns, and the rows."""


def tables(environment: Mapping[str, str]) -> list[ShownTable]:
    """Return the tables. It may raise any error of the store."""
    store = _session_store(
        environment["AWS_ENDPOINT_URL"],
        environment["SESSIONS_TABLE"],
        environment["CONNECTIONS_TABLE"],
    )
    now = time.time()
    scanned = islice(store.list_all(), MAX_SCANNED)
    sessions = [session for session in scanned if session.is_open(now)]
    shown = sorted(sessions, key=lambda session: session.created_at_ms, reverse=True)[:MAX_SESSIONS]
    languages: Counter[str] = Counter()
    for session in shown:
        languages.update(session.languages)
    rows = [_row(session, now) for session in shown]
    return [
        (f"sessions ({len(sessions)})", ("", "status", "from", "listeners", "age"), rows),
        ("listeners", ("in", "count"), languages.most_common()),
    ]


def _row(session: Session, now: float) -> tuple[str, str, str, int, str]:
    age_seconds = max(0, int(now - session.created_at_ms / 1000))
    minutes, seconds = divmod(age_seconds, 60)
    return (
        session.session_id,
        session.shown_status,
        session.source_language,
        session.listener_count,
        f"{minutes}:{seconds:02}",
    )


@cache
def _session_store(endpoint_url: str, sessions_table: str, connections_table: str) -> SessionStore:
    client = SignedClient(
        endpoint_url,
        "dynamodb",
        aws.REGION,
        lambda: Credentials("local", "local"),
        connect_timeout_seconds=TIMEOUT_SECONDS,
        read_timeout_seconds=TIMEOUT_SECONDS,
    )
    dynamodb = DynamoDB(client, Retries("store"))
    sessions = Table(dynamodb, sessions_table, "sessionId")
    return SessionStore(sessions, Table(dynamodb, connections_table, "connectionId"), time.time)
