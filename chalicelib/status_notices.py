"""Notices of a session's status to its speaker, which follow changes of the audience."""

from collections.abc import Callable

from chalicelib import messages, telemetry
from chalicelib.audience import Audience
from chalicelib.aws.connections import Connections, Gone, PostFailed
from chalicelib.lifecycle import Lifecycle, sleep_until
from chalicelib.models import Session
from chalicelib.status_requests import StatusRequest
from chalicelib.store.stores import Stores


class StatusNotices:
    """Posts each requested notice once, even if Lambda invokes the function twice for it.

    A notice can be lost, for example if the function stops before its post. The answer to the
    speaker's next heartbeat has the same counts.
    """

    def __init__(
        self,
        stores: Stores,
        lifecycle: Lifecycle,
        audience: Audience,
        connections: Connections,
        clock: Callable[[], float],
        sleep: Callable[[float], None],
    ) -> None:
        self._participants = stores.participants
        self._demand = stores.demand
        self._lifecycle = lifecycle
        self._audience = audience
        self._connections = connections
        self._clock = clock
        self._sleep = sleep

    def deliver(self, request: StatusRequest) -> None:
        """Wait until a notice is due, and post the session's current status to its speaker.

        The counts are those of the write that clears the claim, so a change after it claims the
        next notice.

        Raises:
            InternalError: An unexpected error, which is logged.
            ServiceUnavailable: DynamoDB is throttling, failing or unreachable.
        """
        with telemetry.handled("outcome", is_clients=False) as record:
            record.follow_trail(request.trail)
            sleep_until(request.due_at_ms / 1000, self._clock, self._sleep)
            at_seconds = self._clock()
            session = self._demand.begin_notice(request.session_id, request.token)
            if session is not None:
                self._post(session, at_seconds)

    def _post(self, session: Session, at_seconds: float) -> None:
        """Post the status with the time before its read, by which clients order notices."""
        text = messages.encode(messages.session_status(session), int(at_seconds * 1000))
        try:
            self._connections.post(session.speaker_connection_id, text)
        except PostFailed:
            return
        except Gone:
            self._handle_gone_speaker(session)

    def _handle_gone_speaker(self, session: Session) -> None:
        """Handle a speaker whose connection is closed, or isn't open yet.

        A speaker that refreshes by its connect URL becomes the speaker before its connection opens.
        """
        speaker = self._participants.find_present(session.speaker_connection_id)
        if speaker is None:
            return
        if speaker.is_past_joining(self._clock()):
            self._lifecycle.leave(speaker.connection_id)
        else:
            self._audience.request_notice(session.session_id)
