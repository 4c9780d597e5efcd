"""A session from start to end, with real tokens, sockets and conditional writes."""

from collections.abc import Callable

import pytest

from tests.stories.target import Client, Target, client, until

Open = Callable[..., Client]


def create(open_client: Open, token: str, **parameters: str) -> tuple[Client, dict[str, str]]:
    speaker = open_client(token=token)
    created = speaker.ask(action="createSession", sourceLanguage="en", **parameters)
    assert created["type"] == "sessionCreated"
    return speaker, created


def count(speaker: Client) -> int:
    return int(speaker.ask(action="getSessionStatus")["listenerCount"])


def test_a_speaker_and_a_listener_meet_by_frames(
    target: Target, open_client: Open, token: str
) -> None:
    speaker, created = create(open_client, token, qualityTier="premium")
    assert created == {
        "type": "sessionCreated",
        "sessionId": created["sessionId"],
        "connectionId": created["connectionId"],
        "sourceLanguage": "en",
        "qualityTier": "premium",
        "admission": "open",
        "maxListeners": target.seats,
        "inviteCode": created["inviteCode"],
        "expiresAt": created["expiresAt"],
        "heartbeatSeconds": 30,
        "timestamp": created["timestamp"],
    }
    assert target.is_connection_id(created["connectionId"])

    listener = open_client()
    joined = listener.ask(
        action="joinSession",
        sessionId=created["sessionId"].replace("-", " ").title(),
        targetLanguage="fr-CA",
        inviteCode=created["inviteCode"],
        requestId="my-join",
    )
    assert joined == {
        "type": "sessionJoined",
        "sessionId": created["sessionId"],
        "connectionId": joined["connectionId"],
        "sourceLanguage": "en",
        "targetLanguage": "fr-CA",
        "qualityTier": "premium",
        "status": "active",
        "lastSeq": 0,
        "hasVoice": True,
        "heartbeatSeconds": 30,
        "timestamp": joined["timestamp"],
        "requestId": "my-join",
    }

    changed = listener.ask(action="changeLanguage", targetLanguage="es")
    assert (changed["type"], changed["targetLanguage"]) == ("languageChanged", "es")

    status = speaker.ask(action="getSessionStatus")
    assert status["type"] == "sessionStatus"
    assert status["status"] == "active"
    assert status["listenerCount"] == 1
    assert status["languages"] == {"es": 1}
    assert status["createdAt"] < status["expiresAt"] == created["expiresAt"]

    assert listener.ask(action="heartbeat")["sessionId"] == created["sessionId"]
    beat = speaker.ask(action="heartbeat")
    assert (beat["sessionId"], beat["listenerCount"]) == (created["sessionId"], 1)
    assert beat["connectedSeconds"] >= 0

    for ended in (speaker.ask(action="endSession"), listener.receive()):
        assert ended["type"] == "sessionEnded"
        assert ended["sessionId"] == created["sessionId"]
        assert ended["reason"] == "speakerEnded"
    assert listener.has_no_more_messages()


def test_a_speaker_and_a_listener_meet_by_connect_urls(open_client: Open, token: str) -> None:
    speaker = open_client(action="createSession", sourceLanguage="en", token=token)
    created = speaker.receive()
    assert created["type"] == "sessionCreated"
    listener = open_client(
        action="joinSession", sessionId=created["sessionId"], targetLanguage="de"
    )
    joined = listener.receive()
    assert (joined["type"], joined["targetLanguage"]) == ("sessionJoined", "de")
    assert count(speaker) == 1


def test_an_access_token_in_a_header_identifies_a_speaker(target: Target) -> None:
    from websockets.sync.client import connect

    header = {"Authorization": f"Bearer {target.tokens()['AccessToken']}"}
    with connect(target.url, additional_headers=header) as opened:
        created = Client(opened).ask(action="createSession", sourceLanguage="en")
    assert created["type"] == "sessionCreated"


@pytest.mark.usefixtures("no_records_left")
def test_a_clean_close_by_the_speaker_ends_the_session_after_a_short_grace(
    target: Target, open_client: Open, token: str
) -> None:
    with client(target, token=token) as speaker:
        created = speaker.ask(action="createSession", sourceLanguage="en")
        listener = open_client()
        join = {
            "action": "joinSession",
            "sessionId": created["sessionId"],
            "targetLanguage": "es",
        }
        listener.ask(**join)
        speaker.close(1000)
    interrupted = listener.receive()
    assert (interrupted["type"], interrupted["graceSeconds"]) == ("sessionInterrupted", 5)
    assert listener.receive()["reason"] == "speakerEnded"
    assert listener.ask(**join)["code"] == "SESSION_NOT_FOUND"
    assert "sessionId" not in listener.ask(action="heartbeat")


def test_listeners_that_leave_are_no_longer_counted(
    target: Target, open_client: Open, token: str
) -> None:
    speaker, created = create(open_client, token)
    session = {"sessionId": created["sessionId"], "targetLanguage": "es"}
    staying = open_client()
    staying.ask(action="joinSession", **session)
    for end in (Client.close, Client.drop):
        with client(target, action="joinSession", **session) as leaving:
            assert leaving.receive()["type"] == "sessionJoined"
            assert count(speaker) == 2
            end(leaving)
        until(lambda: count(speaker) == 1)


def test_a_speaker_is_notified_of_its_audience(open_client: Open, token: str) -> None:
    speaker, created = create(open_client, token)
    session = {"sessionId": created["sessionId"], "targetLanguage": "es"}
    sent_at = []
    for listeners in (1, 2):
        open_client().ask(action="joinSession", **session)
        notice = speaker.receive_any()
        sent_at.append(notice["timestamp"])
        assert notice["type"] == "sessionStatus"
        assert (notice["listenerCount"], notice["languages"]) == (listeners, {"es": listeners})
    assert sent_at[1] - sent_at[0] >= 2000


def test_sessions_do_not_affect_each_other(open_client: Open, target: Target) -> None:
    speakers = []
    for name in ("anna@example.com", "boris@example.com"):
        speakers.append(create(open_client, target.tokens(name)["IdToken"]))
    (anna, annas), (boris, boriss) = speakers
    listeners = []
    for created in (annas, boriss):
        listener = open_client()
        listener.ask(action="joinSession", sessionId=created["sessionId"], targetLanguage="es")
        listeners.append(listener)

    assert boris.ask(action="endSession", sessionId=annas["sessionId"])["code"] == "FORBIDDEN"
    anna.ask(action="endSession")

    assert listeners[0].receive()["sessionId"] == annas["sessionId"]
    assert listeners[1].has_no_more_messages()
    assert boris.has_no_more_messages()
    assert count(boris) == 1


@pytest.mark.parametrize(
    "command",
    [
        {"action": "createSession", "sourceLanguage": "en"},
        {"action": "getSessionStatus"},
        {"action": "endSession"},
    ],
    ids=lambda command: command["action"],
)
def test_a_listener_cannot_send_a_speakers_command(
    open_client: Open, token: str, command: dict[str, str]
) -> None:
    _, created = create(open_client, token)
    listener = open_client()
    listener.ask(action="joinSession", sessionId=created["sessionId"], targetLanguage="es")
    assert listener.ask(**command)["code"] == "FORBIDDEN"
    assert listener.has_no_more_messages()


def test_a_connection_serves_one_session_at_most(open_client: Open, token: str) -> None:
    speaker, created = create(open_client, token)
    join = {"action": "joinSession", "sessionId": created["sessionId"], "targetLanguage": "es"}
    assert speaker.ask(**join)["code"] == "CONFLICT"
    assert speaker.ask(action="createSession", sourceLanguage="en")["code"] == "CONFLICT"
    listener = open_client()
    listener.ask(**join)
    assert listener.ask(**join)["code"] == "CONFLICT"
    assert count(speaker) == 1


def test_one_speaker_can_have_two_sessions(open_client: Open, token: str) -> None:
    one, first = create(open_client, token)
    two, second = create(open_client, token)
    assert first["sessionId"] != second["sessionId"]
    assert one.ask(action="endSession")["sessionId"] == first["sessionId"]
    assert count(two) == 0
