"""Requests for notices of a session's status to its speaker."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from chalicelib import telemetry


@dataclass(frozen=True, slots=True)
class StatusRequest:
    """A request for one notice, which the function `outcome` posts when it is due.

    Attributes:
        session_id: The session's ID.
        token: The claim of the notice. Only one invocation of the function can use it.
        due_at_ms: When to read the counts and post them, in Unix milliseconds.
        endpoint_url: The URL of the API's @connections.
        trail: The log fields that link the notice with the event that caused it.
    """

    session_id: str
    token: str
    due_at_ms: int
    endpoint_url: str
    trail: Mapping[str, str | None] = field(default_factory=telemetry.find_trail)

    def to_event(self) -> dict[str, Any]:
        """Encode the request as a Lambda event."""
        return {
            "statusOf": self.session_id,
            "token": self.token,
            "dueAt": self.due_at_ms,
            "endpointUrl": self.endpoint_url,
            "trail": dict(self.trail),
        }

    @classmethod
    def from_event(cls, event: Mapping[str, Any]) -> "StatusRequest":
        """Parse a Lambda event."""
        return cls(
            event["statusOf"],
            event["token"],
            event["dueAt"],
            event["endpointUrl"],
            event["trail"],
        )


def is_status_request(event: Mapping[str, Any]) -> bool:
    """Return whether an event of the function `outcome` is a request for a notice of the status."""
    return "statusOf" in event
