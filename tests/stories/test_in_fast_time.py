"""Hours in seconds, on the local server's faster clock, and reminders in their order."""

from collections.abc import Iterator

import pytest

from tests.stories.target import GENEROUS, Client, Target, client, local_server

HOUR = 3600
RATE = 600
"""Two hours in twelve seconds: a client has two to refresh in."""

IDLE_SECONDS = 6000
"""Ten seconds: on a machine that is busy with other things a client may be late with its sign."""

RARE_HEARTBEATS = {
    "HEARTBEAT_INTERVAL_SECONDS": "1500",
    "HEARTBEAT_SETTLED_SECONDS": "1500",
    "HEARTBEAT_TIMEOUT_SECONDS": "4500",
}
"""Lost after seven seconds, for the same reason."""


@pytest.fixture(scope="module")
def hurried() -> Iterator[Target]:
    with local_server(
        *("--clock-rate", str(RATE)),
        *("--idle-timeout-seconds", str(IDLE_SECONDS)),
        **RARE_HEARTBEATS,
        **GENEROUS,
    ) as target:
        yield target


class Participant:
    """A client that does what the protocol asks: beats, and refreshes when it is told to."""

    def __init__(self, target: Target, role: str, **query: str) -> None:
        self.target = target
        self.role = role
        self.token = {"token": query["token"]} if "token" in query else {}
        self.refreshes = 0
        self.ages: list[int] = []
        self.client = self._open(**query)
        self.place = self.client.hear()

    def _open(self, **query: str) -> Client:
        self.opened = client(self.target, **query)
        return self.opened.__enter__()

    def beat(self) -> dict[str, object]:
        """Give a sign of life; refresh if the service asks for it."""
        ack = self.client.ask(action="heartbeat")
        assert ack["type"] == "heartbeatAck"
        self.ages.append(ack["connectedSeconds"])
        if ack["connectedSeconds"] >= 100 * 60:
            asked = self.client.hear()
            assert asked["type"] == "connectionRefreshRequired"
            assert asked["connectionId"] == self.place["connectionId"]
            self.refresh()
        return ack

    def refresh(self) -> None:
        query = {"action": "refreshConnection", "sessionId": self.place["sessionId"]}
        if self.role == "listener":
            query |= {"targetLanguage": "es", "connectionId": self.place["connectionId"]}
        before = self.opened
        self.client = self._open(**query, role=self.role, **self.token)
        self.place = self.client.hear()
        assert self.place["type"] == "connectionRefreshComplete"
        before.__exit__(None, None, None)
        self.refreshes += 1

    def close(self) -> None:
        self.opened.__exit__(None, None, None)


def test_a_session_of_four_hours_outlives_all_of_its_connections(hurried: Target) -> None:
    token = hurried.tokens()["IdToken"]
    speaker = Participant(
        hurried, "speaker", action="createSession", sourceLanguage="en", token=token
    )
    join = {"action": "joinSession", "sessionId": speaker.place["sessionId"]}
    listeners = [Participant(hurried, "listener", **join, targetLanguage="es") for _ in range(3)]
    ends_at = speaker.place["timestamp"] / 1000 + 4 * HOUR
    now = 0.0
    while now < ends_at:
        ack = speaker.beat()
        assert ack["listenerCount"] == 3
        for listener in listeners:
            assert listener.beat()["sessionId"] == speaker.place["sessionId"]
        now = float(str(ack["timestamp"])) / 1000
    for participant in (speaker, *listeners):
        assert participant.refreshes >= 2
        assert max(participant.ages) < 2 * HOUR
    status = speaker.client.ask(action="getSessionStatus")
    assert (status["status"], status["languages"]) == ("active", {"es": 3})
    assert speaker.client.ask(action="endSession")["type"] == "sessionEnded"
    for listener in listeners:
        assert listener.client.hear()["reason"] == "speakerEnded"
        listener.close()
    speaker.close()


def test_a_session_whose_speaker_is_silent_expires_and_everyone_hears_of_it_once() -> None:
    options = ["--clock-rate", str(RATE), "--idle-timeout-seconds", str(HOUR)]
    with local_server(
        *options, SESSION_MAX_DURATION_HOURS="0.5", **RARE_HEARTBEATS, **GENEROUS
    ) as target:
        token = target.tokens()["IdToken"]
        with client(target, token=token) as speaker, client(target) as listener:
            created = speaker.ask(action="createSession", sourceLanguage="en")
            join = {"action": "joinSession", "sessionId": created["sessionId"]}
            listener.ask(**join, targetLanguage="es")
            for each in (speaker, listener):
                ended = each.hear()
                assert (ended["type"], ended["reason"]) == ("sessionEnded", "expired")
                assert ended["timestamp"] >= created["expiresAt"]
                assert each.hears_nothing_more()


def test_reminders_follow_each_heartbeat_of_a_connection_that_has_a_session() -> None:
    soon = {"CONNECTION_REFRESH_MINUTES": "0.0001", "CONNECTION_WARNING_MINUTES": "0.0002"}
    with local_server(**soon, **GENEROUS) as target:
        token = target.tokens()["IdToken"]
        with client(target, token=token) as speaker, client(target) as listener:
            created = speaker.ask(action="createSession", sourceLanguage="en")
            join = {"action": "joinSession", "sessionId": created["sessionId"]}
            joined = listener.ask(**join, targetLanguage="es")
            for each, place, role in (
                (speaker, created, {"role": "speaker"}),
                (listener, joined, {"role": "listener", "targetLanguage": "es"}),
            ):
                assert each.ask(action="heartbeat")["type"] == "heartbeatAck"
                required, warning = each.hear(), each.hear()
                assert required == {
                    "type": "connectionRefreshRequired",
                    "sessionId": created["sessionId"],
                    "connectionId": place["connectionId"],
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
                assert unbound.hears_nothing_more()
