"""Sessions that outlive their connections: refreshes, interruptions, pauses, graces."""

from collections.abc import Callable

import pytest

from tests.stories.target import GRACE_SECONDS, Client, Target, client, until

Open = Callable[..., Client]


class Session:
    """A speaker with a session, and what its listeners need to know."""

    def __init__(self, open_client: Open, token: str) -> None:
        self.open_client = open_client
        self.token = token
        self.speaker = open_client(token=token)
        self.created = self.speaker.ask(action="createSession", sourceLanguage="en")
        self.session_id = self.created["sessionId"]

    def listener(self, language: str = "es") -> tuple[Client, str]:
        """Let a listener in; return him and his connection's id."""
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
    refreshed = new.hear()
    assert refreshed == {
        "type": "connectionRefreshComplete",
        "sessionId": session.session_id,
        "connectionId": refreshed["connectionId"],
        "role": "listener",
        "status": "active",
        "sourceLanguage": "en",
        "targetLanguage": "fr",
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
    assert new.hear()["type"] == "sessionEnded"


def test_a_listener_whose_connection_was_lost_comes_back_by_its_id(
    session: Session, open_client: Open
) -> None:
    lost, lost_id = session.listener()
    lost.vanish()
    until(lambda: session.status()[1] == 0)
    back = open_client()
    place = {"role": "listener", "targetLanguage": "es", "connectionId": lost_id}
    assert back.ask(**session.refresh(**place))["type"] == "connectionRefreshComplete"
    assert session.status() == ("active", 1, {"es": 1})


def test_a_refresh_without_a_listeners_connection_is_a_join(
    session: Session, open_client: Open
) -> None:
    place = {"role": "listener", "targetLanguage": "es", "connectionId": "nobodys="}
    newcomer = open_client()
    assert newcomer.ask(**session.refresh(**place))["type"] == "connectionRefreshComplete"
    assert session.status()[1] == 1


@pytest.mark.parametrize("by_connect_url", [True, False])
def test_a_speaker_moves_to_a_new_connection_and_the_end_of_the_old_changes_nothing(
    session: Session, open_client: Open, by_connect_url: bool
) -> None:
    listener, _ = session.listener()
    old = session.speaker
    refresh = session.refresh(role="speaker")
    if by_connect_url:
        session.speaker = open_client(token=session.token, **refresh)
        refreshed = session.speaker.hear()
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
    assert listener.hears_nothing_more()


def test_only_the_user_who_owns_a_session_may_refresh_as_its_speaker(
    target: Target, session: Session, open_client: Open
) -> None:
    refresh = session.refresh(role="speaker")
    stranger = open_client(token=target.tokens("stranger@example.com")["IdToken"])
    assert stranger.ask(**refresh)["code"] == "FORBIDDEN"
    assert open_client().ask(**refresh)["code"] == "UNAUTHORIZED"
    assert session.speaker.ask(action="heartbeat")["sessionId"] == session.session_id


def test_a_pause_and_its_end_are_told_to_everyone_once(session: Session) -> None:
    listener, _ = session.listener()
    for action, told, status in (
        ("pauseSession", "sessionPaused", "paused"),
        ("resumeSession", "sessionResumed", "active"),
    ):
        for _ in range(2):
            assert session.speaker.ask(action=action)["type"] == told
        assert listener.hear()["type"] == told
        assert listener.hears_nothing_more()
        assert session.status()[0] == status
    assert listener.ask(action="pauseSession")["code"] == "FORBIDDEN"


def test_a_speaker_who_loses_his_connection_may_come_back(
    session: Session, open_client: Open
) -> None:
    listener, _ = session.listener()
    session.speaker.vanish()
    interrupted = listener.hear()
    assert interrupted["type"] == "sessionInterrupted"
    assert interrupted["graceSeconds"] == GRACE_SECONDS
    newcomer = open_client()
    joined = newcomer.ask(action="joinSession", sessionId=session.session_id, targetLanguage="de")
    assert joined["status"] == "interrupted"

    session.speaker = open_client(token=session.token)
    refreshed = session.speaker.ask(**session.refresh(role="speaker"))
    assert refreshed["type"] == "connectionRefreshComplete"
    for each in (listener, newcomer):
        assert each.hear()["type"] == "sessionResumed"
        assert each.hears_nothing_more()
    assert session.status() == ("active", 2, {"de": 1, "es": 1})


@pytest.mark.usefixtures("nothing_left")
def test_a_speaker_who_does_not_come_back_ends_the_session_when_his_grace_is_over(
    target: Target, session: Session, open_client: Open
) -> None:
    listener, listener_id = session.listener()
    session.speaker.vanish()
    interrupted = listener.hear()
    target.sweep()  # which stays for the end of a grace that ends before the next would come
    ended = listener.hear()
    assert (ended["type"], ended["reason"]) == ("sessionEnded", "speakerLost")
    assert ended["timestamp"] - interrupted["timestamp"] >= (GRACE_SECONDS - 1) * 1000
    assert listener.hears_nothing_more()
    place = {"role": "listener", "targetLanguage": "es", "connectionId": listener_id}
    for refresh in (session.refresh(**place), session.refresh(role="speaker")):
        late = open_client(token=session.token)
        assert late.ask(**refresh)["code"] == "SESSION_NOT_FOUND"


def test_a_connection_that_has_a_session_cannot_refresh_into_another(
    session: Session, target: Target, open_client: Open, token: str
) -> None:
    other = Session(open_client, token)
    listener, _ = other.listener()
    place = {"role": "listener", "targetLanguage": "es"}
    assert listener.ask(**session.refresh(**place))["code"] == "CONFLICT"
    with client(target, token=token) as bare:
        assert bare.ask(**session.refresh(role="chairman"))["code"] == "INVALID_PARAMETERS"
    assert other.status()[1] == 1
