"""Ends a session of a stage for an operator."""

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Final

from chalicelib.audience import Audience
from chalicelib.aws.connections import FAN_OUT_SECONDS, Connections, FanOut, Gone, PostFailed
from chalicelib.ending import Ending
from chalicelib.models import Session
from chalicelib.notices import Notices
from chalicelib.outcomes import Outcomes
from chalicelib.pipeline import Pipeline
from chalicelib.store.stores import Stores
from operations.aws_errors import describe_missing

NO_CONNECTION: Final = "none="
"""An ID that no connection has."""

_FORBIDDEN: Final = 403


class EndError(Exception):
    """The session was not ended."""


@dataclass
class CountingConnections:
    """Posts to connections, and counts the outcomes."""

    connections: Connections
    notified: int = 0
    gone: int = 0
    failed: int = 0

    def post(self, connection_id: str, text: str) -> None:
        """Post to one connection.

        Raises:
            Gone: The connection no longer exists.
            PostFailed: The post was not delivered.
        """
        try:
            self.connections.post(connection_id, text)
        except Gone:
            self.gone += 1
            raise
        except PostFailed:
            self.failed += 1
            raise
        self.notified += 1

    def fan_out(
        self, connection_ids: Collection[str], text: str, limit_seconds: float = FAN_OUT_SECONDS
    ) -> FanOut:
        """Post to many connections side by side."""
        done = self.connections.fan_out(connection_ids, text, limit_seconds)
        self.notified += done.reached
        self.gone += len(done.gone)
        self.failed += done.failed
        return done

    def close(self, connection_ids: Collection[str]) -> None:
        """Close connections, without counting them."""
        self.connections.close(connection_ids)


def end_session(
    stores: Stores,
    connections: Connections,
    pipeline: Pipeline,
    outcomes: Outcomes,
    session_id: str,
    confirm: Callable[[Session], None],
    clock: Callable[[], float],
) -> CountingConnections:
    """End an open session as if it had expired now.

    If this process stops after `confirm` has returned, the sweep completes the end. Two processes
    may end the same session: one of them succeeds.

    Args:
        stores: The stage's stores.
        connections: The stage's @connections.
        pipeline: Notifies the pipeline of the end.
        outcomes: Unused, because an end releases no seats.
        session_id: The session's ID.
        confirm: Called with the session before anything changes. To refuse, it raises.
        clock: Returns the Unix time in seconds.

    Returns:
        The counts of the posts to the participants.

    Raises:
        EndError: The session isn't open, or @connections refuses posts.
    """
    session = stores.sessions.find_open(session_id)
    if session is None:
        raise EndError(f"there is no open session {session_id}")
    check_connections(connections)
    confirm(session)
    counting = CountingConnections(connections)
    audience = Audience(stores, pipeline, outcomes, "", clock)
    notices = Notices(stores, counting, audience, pipeline, clock, time.sleep)
    ending = Ending(stores, notices, pipeline, clock)
    # A retry after a lost answer also returns None here, so only end_expired decides.
    stores.sessions.expire(session_id)
    if not ending.end_expired(session_id):
        raise EndError(f"{session_id} has already been ended by its speaker or another process")
    return counting


def check_connections(connections: Connections) -> None:
    """Check that participants can be notified, before their session ends.

    Raises:
        EndError: @connections refuses posts, or can't be reached.
    """
    try:
        connections.post(NO_CONNECTION, "{}")
    except Gone:
        return
    except PostFailed as error:
        if error.status == _FORBIDDEN:
            raise EndError(describe_missing("execute-api:ManageConnections")) from None
        raise EndError(
            f"nothing was changed, because participants can't be notified: "
            f"@connections returned {error}"
        ) from None
