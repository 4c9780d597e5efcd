"""The use cases of the function `outcome`, which delivers messages that others have requested."""

from collections.abc import Callable
from typing import Final

from chalicelib import messages, telemetry
from chalicelib.aws.connections import Connections, Gone, PostFailed
from chalicelib.aws.retries import event_budget
from chalicelib.ending import Ending
from chalicelib.lifecycle import Lifecycle
from chalicelib.messages import Message
from chalicelib.notices import Notices
from chalicelib.outcomes import Delivery
from chalicelib.slices import Slice
from chalicelib.store.stores import Stores

OUTCOME_DELAYS_SECONDS: Final = (0.02, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6)
"""Waits between posts of an outcome to a connection that isn't open yet."""


class Deliveries:
    """Posts the messages of each delivery once, even if Lambda invokes the function twice for it.

    If the first invocation stops between its claim and its post, the messages are lost. The answer
    to the client's next heartbeat names its session, and follow-ups also follow that answer.
    """

    def __init__(
        self,
        stores: Stores,
        lifecycle: Lifecycle,
        connections: Connections,
        clock: Callable[[], float],
        sleep: Callable[[float], None],
    ) -> None:
        self._sessions = stores.sessions
        self._participants = stores.participants
        self._event_claims = stores.event_claims
        self._lifecycle = lifecycle
        self._connections = connections
        self._clock = clock
        self._sleep = sleep

    def deliver(self, delivery: Delivery) -> None:
        """Make a delivery.

        Raises:
            InternalError: An unexpected error, which is logged.
            ServiceUnavailable: DynamoDB is throttling, failing or unreachable.
        """
        connection_id = delivery.connection_id
        with telemetry.handled("outcome", connection_id=connection_id, is_clients=False) as record:
            record.follow_trail(delivery.trail)
            if delivery.closes:
                self._sleep(delivery.delay_ms / 1000)
                self._lifecycle.close_refused(connection_id)
            elif delivery.delay_ms:
                self._deliver_follow_ups(delivery)
            elif self._event_claims.claim(delivery.event_id):
                self._deliver_outcome(connection_id, delivery.messages[0])

    def _deliver_outcome(self, connection_id: str, outcome: Message) -> None:
        """Post the outcome of a command in the connect URL as soon as the connection is open.

        A connection that doesn't open within about three seconds counts as closed.
        """
        for delay_seconds in (*OUTCOME_DELAYS_SECONDS, None):
            session = self._sessions.find_open(outcome["sessionId"])
            try:
                self._post(connection_id, messages.up_to_date(outcome, session, connection_id))
            except Gone:
                if delay_seconds is not None:
                    self._sleep(delay_seconds)
            except PostFailed:
                # It may have arrived. If not, the answer to a heartbeat names the client's session.
                return
            else:
                return
        self._lifecycle.handle_never_opened(connection_id)

    def _deliver_follow_ups(self, delivery: Delivery) -> None:
        """Post messages to a connection that is still a participant, after a delay."""
        self._sleep(delivery.delay_ms / 1000)
        participant = self._participants.find_present(delivery.connection_id)
        if participant is None or not self._event_claims.claim(delivery.event_id):
            return
        telemetry.follow(participant.session_id, participant.correlation)
        try:
            for message in delivery.messages:
                self._post(delivery.connection_id, message)
        except PostFailed:
            return
        except Gone:
            self._lifecycle.leave(delivery.connection_id)

    def _post(self, connection_id: str, message: Message) -> None:
        self._connections.post(connection_id, messages.encode(message, int(self._clock() * 1000)))


class SliceDeliveries:
    """Posts the slices of large fan-outs."""

    def __init__(self, notices: Notices, ending: Ending) -> None:
        self._notices = notices
        self._ending = ending

    def deliver(self, part: Slice) -> None:
        """Post a slice, and remove its listeners if the session has ended or they are gone.

        Raises:
            InternalError: An unexpected error, which is logged.
            ServiceUnavailable: DynamoDB is throttling, failing or unreachable.
        """
        with telemetry.handled("slice", is_clients=False) as record, event_budget():
            record.follow_trail(part.trail)
            if part.is_end:
                self._ending.dismiss_slice(part)
            else:
                self._notices.post_slice(part)
