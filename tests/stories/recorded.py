"""Recorded messages, with the values of a run in place of the recorded ones."""

from typing import Any

from chalicelib import session_ids

Message = dict[str, Any]

VARIABLE = {
    "connectedSeconds",
    "connectionId",
    "createdAt",
    "expiresAt",
    "graceSeconds",
    "inviteCode",
    "remainingSeconds",
    "requestId",
    "retryAfter",
    "sessionId",
    "startedAt",
    "supported",
    "timestamp",
}
"""Fields whose values differ in each run. A recorded text stands for one text of the run."""


class Recorded:
    """The texts of a run by the recorded ones."""

    def __init__(self) -> None:
        self.actual: dict[str, str] = {}

    def check(self, heard: Message, expected: Message) -> None:
        """Check a message from the service, and keep its variable texts."""
        assert heard.keys() == expected.keys(), heard
        for field, value in expected.items():
            if field == "details":
                self.check(heard[field], value)
            elif field == "items":
                for item, recorded in zip(heard[field], value, strict=True):
                    self.check(item, recorded)
            elif field not in VARIABLE:
                assert heard[field] == value, field
            else:
                assert type(heard[field]) is type(value), field
                if isinstance(value, str):
                    assert self.actual.setdefault(value, heard[field]) == heard[field], field

    def translate(self, message: Message) -> Message:
        """Return a recorded message of a client with the texts of the run."""
        if "sessionId" in message:
            session_id = session_ids.parse(message["sessionId"]) or message["sessionId"]
            message = {**message, "sessionId": session_id}
        return {
            field: self.actual.get(value, value) if field in VARIABLE else value
            for field, value in message.items()
        }
