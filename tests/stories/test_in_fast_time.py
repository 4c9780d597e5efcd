"""Sessions that last for hours, on the local server's fast clock."""

from collections.abc import Iterator

import pytest

from tests.stories.target import HIGH_LIMITS, Client, Target, client, local_server

HOUR = 3600
RATE = 600
"""Two hours take twelve seconds. A client has two of them for a refresh."""

IDLE_SECONDS = 6000
"""Takes ten seconds, because heartbeats can be late on a busy machine."""

RARE_HEARTBEATS = {
    "HEARTBEAT_INTERVAL_SECONDS": "1500",
    "HEARTBEAT_SETTLED_SECONDS": "1500",
    "HEARTBEAT_TIMEOUT_SECONDS": "4500",
}
"""A participant is lost after seven seconds without a heartbeat, for the same reason."""


@pytest.fixture(scope="module")
def fast_server() -> Iterator[Target]:
    with local_server(
        *("--clock-rate", str(RATE)),
        *("--idle-timeout-seconds", str(IDLE_SECONDS)),
        **RARE_HEARTBEATS,
        **HIGH_LIMITS,
    ) as target:
        yield target


class Participant:
    """A client that follows the protocol by sending heartbeats and refreshing on request."""

    def __init__(self, target: Target, role: str, **query: str) -> None:
        self.target = target
        self.role = role
        self.token = {"token": query["token"]} if "token" in query else {}
        self.refreshes = 0
        self.ages: list[int] = []
        self.client = self._open(**query)
        self.membership = self.client.receive()

    def _open(self, **query: str) -> Client:
        self.opened = client(self.target, **query)
        return self.opened.__enter__()

    def beat(self) -> dict[str, object]:
        """Send a heartbeat, and refresh if the service requests it."""
        ack = self.client.ask(action="heartbeat")
        assert ack["type"] == "heartbeatAck"
        self.ages.append(ack["connectedSeconds"])
        if ack["connectedSeconds"] >= 100 * 60:
            asked = self.client.receive()
            assert asked["type"] == "connectionRefreshRequired"
            assert asked["connectionId"] == self.membership["connectionId"]
            self.refresh()
        return ack

    def refresh(self) -> None:
        query = {"action": "refreshConnection", "sessionId": self.membership["sessionId"]}
        if self.role == "listener":
            query |= {"targetLanguage": "es", "connectionId": self.membership["connectionId"]}
        before = self.opened
        self.client = self._open(**query, role=self.role, **self.token)
        self.membership = self.client.receive()
        assert self.membership["type"] == "connectionRefreshComplete"
        before.__exit__(None, None, None)
        self.refreshes += 1

    def close(self) -> None:
        self.opened.__exit__(None, None, None)


def test_a_session_of_four_hours_outlives_its_connections(fast_server: Target) -> None:
    token = fast_server.tokens()["IdToken"]
    speaker = Participant(
        fast_server, "speaker", action="createSession", sourceLanguage="en", token=token
    )
    join = {"action": "joinSession", "sessionId": speaker.membership["sessionId"]}
    listeners = [
        Participant(fast_server, "listener", **join, targetLanguage="es") for _ in range(3)
    ]
    ends_at = speaker.membership["timestamp"] / 1000 + 4 * HOUR
    now = 0.0
    while now < ends_at:
        ack = speaker.beat()
        assert ack["listenerCount"] == 3
        for listener in listeners:
            assert listener.beat()["sessionId"] == speaker.membership["sessionId"]
        now = float(str(ack["timestamp"])) / 1000
    for participant in (speaker, *listeners):
        assert participant.refreshes >= 2
        assert max(participant.ages) < 2 * HOUR
    status = speaker.client.ask(action="getSessionStatus")
    assert (status["status"], status["languages"]) == ("active", {"es": 3})
    assert speaker.client.ask(action="endSession")["type"] == "sessionEnded"
    for listener in listeners:
        assert listener.client.receive()["reason"] == "speakerEnded"
        listener.close()
    speaker.close()


def test_a_session_with_a_silent_speaker_expires_and_notifies_everyone_once() -> None:
    options = ["--clock-rate", str(RATE), "--idle-timeout-seconds", str(HOUR)]
    with local_server(
        *options, SESSION_MAX_DURATION_HOURS="0.5", **RARE_HEARTBEATS, **HIGH_LIMITS
    ) as target:
        token = target.tokens()["IdToken"]
        with client(target, token=token) as speaker, client(target) as listener:
            created = speaker.ask(action="createSession", sourceLanguage="en")
            join = {"action": "joinSession", "sessionId": created["sessionId"]}
            listener.ask(**join, targetLanguage="es")
            for each in (speaker, listener):
                ended = each.receive()
                assert (ended["type"], ended["reason"]) == ("sessionEnded", "expired")
                assert ended["timestamp"] >= created["expiresAt"]
                assert each.has_no_more_messages()


def test_reminders_follow_each_heartbeat_of_a_participant() -> None:
    soon = {"CONNECTION_REFRESH_MINUTES": "0.0001", "CONNECTION_WARNING_MINUTES": "0.0002"}
    with local_server(**soon, **HIGH_LIMITS) as target:
        token = target.tokens()["IdToken"]
        with client(target, token=token) as speaker, client(target) as listener:
            created = speaker.ask(action="createSession", sourceLanguage="en")
            join = {"action": "joinSession", "sessionId": created["sessionId"]}
            joined = listener.ask(**join, targetLanguage="es")
            for each, membership, role in (
                (speaker, created, {"role": "speaker"}),
                (listener, joined, {"role": "listener", "targetLanguage": "es"}),
            ):
                assert each.ask(action="heartbeat")["type"] == "heartbeatAck"
                required, warning = each.receive(), each.receive()
                assert required == {
                    "type": "connectionRefreshRequired",
                    "sessionId": created["sessionId"],
                    "connectionId": membership["connectionId"],
                    "remainingSeconds": required["remainingSeconds"],
                    "timestamp": required["timestamp"],
                    **role,
                }
                assert 7100 < required["remainingSeconds"] < 7200
                assert warning["type"] == "connectionWarning"
                assert warning["remainingSeconds"] == required["remainingSeconds"]
            bare = client(target)
            with bare as unbound:
                assert unbound.ask(action="heartbeat")["type"] == "heartbeatAck"
                assert unbound.has_no_more_messages()
