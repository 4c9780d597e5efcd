"""Sessions that outlive their connections through refreshes and grace periods."""

import json
from collections.abc import Callable

import pytest

from tests.stories.target import GRACE_SECONDS, Client, Target, client, until

Open = Callable[..., Client]


class Session:
    """A session with its speaker's client."""

    def __init__(self, open_client: Open, token: str) -> None:
        self.open_client = open_client
        self.token = token
        self.speaker = open_client(token=token)
        self.created = self.speaker.ask(action="createSession", sourceLanguage="en")
        self.session_id = self.created["sessionId"]

    def listener(self, language: str = "es") -> tuple[Client, str]:
        """Let a listener join, and return its client and connection ID."""
        listener = self.open_client()
        joined = listener.ask(
            action="joinSession", sessionId=self.session_id, targetLanguage=language
        )
        return listener, joined["connectionId"]

    def refresh(self, **rest: str) -> dict[str, str]:
        return {"action": "refreshConnection", "sessionId": self.session_id, **rest}

    def status(self) -> tuple[str, int, dict[str, int]]:
        status = self.speaker.ask(action="getSessionStatus")
        return status["status"], status["listenerCount"], status["languages"]


@pytest.fixture
def session(open_client: Open, token: str) -> Session:
    return Session(open_client, token)


def test_a_listener_moves_to_a_new_connection_and_is_counted_once(
    target: Target, session: Session, open_client: Open
) -> None:
    old, old_id = session.listener()
    refresh = session.refresh(role="listener", targetLanguage="fr", connectionId=old_id)
    new = open_client(**refresh)
    refreshed = new.receive()
    assert refreshed == {
        "type": "connectionRefreshComplete",
        "sessionId": session.session_id,
        "connectionId": refreshed["connectionId"],
        "role": "listener",
        "status": "active",
        "sourceLanguage": "en",
        "targetLanguage": "fr",
        "lastSeq": 0,
        "hasVoice": True,
        "heartbeatSeconds": 30,
        "timestamp": refreshed["timestamp"],
    }
    assert target.is_connection_id(refreshed["connectionId"])
    assert refreshed["connectionId"] != old_id
    assert session.status() == ("active", 1, {"fr": 1})

    assert "sessionId" not in old.ask(action="heartbeat")
    again = new.ask(**refresh)
    assert {**again, "timestamp": 0} == {**refreshed, "timestamp": 0}
    old.close()
    until(lambda: session.status() == ("active", 1, {"fr": 1}))
    session.speaker.ask(action="endSession")
    assert new.receive()["type"] == "sessionEnded"


def test_a_listener_can_refresh_a_lost_connection(session: Session, open_client: Open) -> None:
    lost, lost_id = session.listener()
    lost.drop()
    until(lambda: session.status()[1] == 0)
    back = open_client()
    membership = {"role": "listener", "targetLanguage": "es", "connectionId": lost_id}
    assert back.ask(**session.refresh(**membership))["type"] == "connectionRefreshComplete"
    assert session.status() == ("active", 1, {"es": 1})


def test_a_refresh_without_a_listeners_connection_is_a_join(
    session: Session, open_client: Open
) -> None:
    membership = {"role": "listener", "targetLanguage": "es", "connectionId": "nobodys="}
    newcomer = open_client()
    assert newcomer.ask(**session.refresh(**membership))["type"] == "connectionRefreshComplete"
    assert session.status()[1] == 1


@pytest.mark.parametrize("by_connect_url", [True, False])
def test_a_refreshed_speakers_old_connection_can_close_without_effect(
    session: Session, open_client: Open, by_connect_url: bool
) -> None:
    listener, _ = session.listener()
    old = session.speaker
    refresh = session.refresh(role="speaker")
    if by_connect_url:
        session.speaker = open_client(token=session.token, **refresh)
        refreshed = session.speaker.receive()
    else:
        session.speaker = open_client(token=session.token)
        refreshed = session.speaker.ask(**refresh)
    assert refreshed == {
        "type": "connectionRefreshComplete",
        "sessionId": session.session_id,
        "connectionId": refreshed["connectionId"],
        "role": "speaker",
        "status": "active",
        "inviteCode": session.created["inviteCode"],
        "heartbeatSeconds": 30,
        "timestamp": refreshed["timestamp"],
    }
    assert old.ask(action="endSession")["code"] == "SESSION_NOT_FOUND"
    old.close(1000)
    assert session.status() == ("active", 1, {"es": 1})
    assert listener.has_no_more_messages()


def test_only_the_user_that_owns_a_session_can_refresh_as_its_speaker(
    target: Target, session: Session, open_client: Open
) -> None:
    refresh = session.refresh(role="speaker")
    stranger = open_client(token=target.tokens("stranger@example.com")["IdToken"])
    assert stranger.ask(**refresh)["code"] == "FORBIDDEN"
    assert open_client().ask(**refresh)["code"] == "UNAUTHORIZED"
    assert session.speaker.ask(action="heartbeat")["sessionId"] == session.session_id


def test_every_participant_receives_a_pause_and_its_end_once(session: Session) -> None:
    listener, _ = session.listener()
    for action, type_, status in (
        ("pauseSession", "sessionPaused", "paused"),
        ("resumeSession", "sessionResumed", "active"),
    ):
        for _ in range(2):
            assert session.speaker.ask(action=action)["type"] == type_
        assert listener.receive()["type"] == type_
        assert listener.has_no_more_messages()
        assert session.status()[0] == status
    assert listener.ask(action="pauseSession")["code"] == "FORBIDDEN"


def test_a_speaker_can_return_after_losing_the_connection(
    session: Session, open_client: Open
) -> None:
    listener, _ = session.listener()
    session.speaker.drop()
    interrupted = listener.receive()
    assert interrupted["type"] == "sessionInterrupted"
    assert interrupted["graceSeconds"] == GRACE_SECONDS
    newcomer = open_client()
    joined = newcomer.ask(action="joinSession", sessionId=session.session_id, targetLanguage="de")
    assert joined["status"] == "interrupted"

    session.speaker = open_client(token=session.token)
    refreshed = session.speaker.ask(**session.refresh(role="speaker"))
    assert refreshed["type"] == "connectionRefreshComplete"
    for each in (listener, newcomer):
        assert each.receive()["type"] == "sessionResumed"
        assert each.has_no_more_messages()
    assert session.status() == ("active", 2, {"de": 1, "es": 1})


@pytest.mark.usefixtures("no_records_left")
def test_a_session_ends_if_its_speaker_does_not_return_in_time(
    target: Target, session: Session, open_client: Open
) -> None:
    listener, listener_id = session.listener()
    session.speaker.drop()
    interrupted = listener.receive()
    target.start_sweep()  # It waits for grace periods that end before the next sweep.
    ended = listener.receive()
    assert (ended["type"], ended["reason"]) == ("sessionEnded", "speakerLost")
    assert ended["timestamp"] - interrupted["timestamp"] >= (GRACE_SECONDS - 1) * 1000
    assert listener.has_no_more_messages()
    membership = {"role": "listener", "targetLanguage": "es", "connectionId": listener_id}
    for refresh in (session.refresh(**membership), session.refresh(role="speaker")):
        late = open_client(token=session.token)
        assert late.ask(**refresh)["code"] == "SESSION_NOT_FOUND"


def test_a_connection_with_a_session_cannot_refresh_into_another(
    session: Session, target: Target, open_client: Open, token: str
) -> None:
    other = Session(open_client, token)
    listener, _ = other.listener()
    membership = {"role": "listener", "targetLanguage": "es"}
    assert listener.ask(**session.refresh(**membership))["code"] == "CONFLICT"
    with client(target, token=token) as bare:
        refresh = json.dumps(session.refresh(role="chairman"))
        assert bare.send(refresh)["code"] == "INVALID_PARAMETERS"
    assert other.status()[1] == 1
