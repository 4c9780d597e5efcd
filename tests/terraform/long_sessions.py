"""Stories of sessions that outlive connections, told where IAM is enforced.

Each calls functions in a way in which the stories of sessions that nothing happens to do not.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed

from chalicelib import messages
from chalicelib.models import EndReason
from chalicelib.outcomes import Delivery
from chalicelib.slices import Slice
from local_gateway import aws
from tests.stories.target import (
    GRACE_SECONDS,
    WAIT_SECONDS,
    Client,
    Target,
    refused_with,
    until,
)
from tests.stories.test_a_session import (
    count,
    create,
    test_a_speaker_and_a_listener_meet_by_connect_urls,
    test_a_speaker_and_a_listener_meet_by_frames,
)
from tests.terraform.enforced import SCHEDULED, Enforced

OLD_SECONDS = 106 * 60
"""The age of a connection that is told to be refreshed, and how long it has left."""

CLEANLY = 1000
NETWORK_LOSS = 1006

GHOST = "ghost-connection"
"""The ID of a connection that doesn't exist."""

Message = dict[str, Any]


@dataclass(frozen=True)
class Scene:
    """Where a story is told, and a speaker's token."""

    enforced: Enforced
    target: Target
    open_client: Callable[..., Client]
    token: str

    def create(self) -> tuple[Client, Message]:
        return create(self.open_client, self.token)

    def join(self, created: Message, **more: str) -> tuple[Client, Message]:
        listener = self.open_client()
        return listener, listener.ask(**join(created, **more))

    def join_and_leave(self, speaker: Client, created: Message) -> None:
        """Have a listener leave, whose record stays, so that he can come back."""
        before = count(speaker)
        leaver, _ = self.join(created)
        leaver.close()
        until(lambda: count(speaker) == before)

    def interrupt(self) -> tuple[Message, Message, Client]:
        """Have a session whose speaker has vanished, and whose listener has heard of it.

        Another listener had left before. Returns what the speaker and the listener were told when
        they came in, and the listener.
        """
        speaker, created = self.create()
        listener, joined = self.join(created, inviteCode=created["inviteCode"])
        self.join_and_leave(speaker, created)
        lose(self, created)
        assert listener.receive()["type"] == "sessionInterrupted"
        return created, joined, listener


def join(created: Message, **more: str) -> dict[str, str]:
    wanted = {"action": "joinSession", "sessionId": created["sessionId"], "targetLanguage": "es"}
    return {**wanted, **more}


def refresh(created: Message, role: str, **more: str) -> dict[str, str]:
    wanted = {"action": "refreshConnection", "sessionId": created["sessionId"], "role": role}
    return {**wanted, **more}


def refresh_listener(joined: Message) -> dict[str, str]:
    old = {"connectionId": joined["connectionId"], "targetLanguage": "es"}
    return refresh(joined, "listener", **old)


def by_frames(scene: Scene) -> None:
    test_a_speaker_and_a_listener_meet_by_frames(scene.target, scene.open_client, scene.token)


def by_connect_urls(scene: Scene) -> None:
    test_a_speaker_and_a_listener_meet_by_connect_urls(scene.open_client, scene.token)


def by_pauses(scene: Scene) -> None:
    speaker, created = scene.create()
    listener, _ = scene.join(created)
    for action, told in (("pauseSession", "sessionPaused"), ("resumeSession", "sessionResumed")):
        assert speaker.ask(action=action)["type"] == told
        assert listener.receive()["type"] == told


def by_vanishing(scene: Scene) -> None:
    scene.interrupt()


def by_coming_back(scene: Scene) -> None:
    """Both refresh by connect URLs, and the listener hears that the speaker is back."""
    created, joined, listener = scene.interrupt()
    refreshed = scene.open_client(**refresh(created, "speaker"), token=scene.token).receive()
    assert refreshed["type"] == "connectionRefreshComplete"
    assert listener.receive()["type"] == "sessionResumed"
    again = scene.open_client(**refresh_listener(joined)).receive()
    assert (again["type"], again["role"]) == ("connectionRefreshComplete", "listener")


def by_coming_back_in_frames(scene: Scene) -> None:
    """Both refresh; then the speaker ends a session that has the records of five connections."""
    created, joined, listener = scene.interrupt()
    speaker = scene.open_client(token=scene.token)
    assert speaker.ask(**refresh(created, "speaker"))["type"] == "connectionRefreshComplete"
    assert listener.receive()["type"] == "sessionResumed"
    again = scene.open_client()
    assert again.ask(**refresh_listener(joined))["type"] == "connectionRefreshComplete"
    assert count(speaker) == 1
    speaker.ask(action="endSession")
    assert again.receive()["reason"] == "speakerEnded"


def by_closing_cleanly(scene: Scene) -> None:
    """As API Gateway tells it: ministack 1.5.33 has no other code than 1005 for a close."""
    speaker, created = scene.create()
    listener, _ = scene.join(created)
    scene.join_and_leave(speaker, created)
    close_cleanly(scene, created)
    assert listener.receive()["graceSeconds"] == GRACE_SECONDS
    assert listener.receive()["reason"] == "speakerEnded"


def close_cleanly(scene: Scene, created: Message) -> None:
    report_close(scene, created, CLEANLY)


def lose(scene: Scene, created: Message) -> None:
    """As API Gateway tells it, which is not how ministack does."""
    report_close(scene, created, NETWORK_LOSS)


def report_close(scene: Scene, created: Message, code: int) -> None:
    context = scene.enforced.context(created["connectionId"], disconnectStatusCode=code)
    scene.enforced.invoke("disconnect", {"requestContext": context})


def by_growing_old(scene: Scene) -> None:
    """As API Gateway tells it: with ministack 1.5.33 no connection is older than its event."""
    speaker, created = scene.create()
    context = scene.enforced.context(created["connectionId"], OLD_SECONDS)
    beat = {"requestContext": context, "body": '{"action": "heartbeat"}'}
    assert scene.enforced.invoke("message", beat)["statusCode"] == 200
    assert speaker.receive()["type"] == "connectionRefreshRequired"
    assert speaker.receive()["type"] == "connectionWarning"


def by_losing_the_speaker(scene: Scene) -> None:
    _, _, listener = scene.interrupt()
    scene.enforced.invoke("sweep", SCHEDULED)
    assert listener.receive()["reason"] == "speakerLost"


def by_an_end_that_nobody_told(scene: Scene) -> None:
    """Have a listener counted whose heartbeats are missing since an hour, and swept away."""
    speaker, created = scene.create()
    scene.join(created)
    put_ghost(scene, created["sessionId"])
    assert count(speaker) == 2
    scene.enforced.invoke("sweep", SCHEDULED)
    assert count(speaker) == 1


def put_ghost(scene: Scene, session_id: str) -> None:
    """Write down a listener, as if his $disconnect had never come.

    The speaker has heard of all others by then. Whoever removes this one notifies him.
    """
    until(lambda: not has_pending_notice(scene, session_id))
    dynamodb, tables = scene.enforced.client("dynamodb"), scene.target.environment
    now = int(time.time())
    dynamodb.put_item(
        TableName=tables["CONNECTIONS_TABLE"],
        Item={
            "connectionId": {"S": GHOST},
            "sessionId": {"S": session_id},
            "role": {"S": "listener"},
            "targetLanguage": {"S": "es"},
            "takenAt": {"N": str((now - 3600) * 1000)},
            "lostAt": {"N": str((now - 3500) * 1000)},
            "ttl": {"N": str(now + 3600)},
        },
    )
    dynamodb.update_item(
        TableName=tables["SESSIONS_TABLE"],
        Key={"sessionId": {"S": session_id}},
        UpdateExpression="ADD listenerCount :one, #language :one",
        ExpressionAttributeNames={"#language": "listeners:es"},
        ExpressionAttributeValues={":one": {"N": "1"}},
    )


def has_pending_notice(scene: Scene, session_id: str) -> bool:
    """Return whether the speaker has yet to hear of a change of the audience."""
    records = scene.target.records("SESSIONS_TABLE")
    return any("statusDue" in it for it in records if it["sessionId"] == {"S": session_id})


def by_an_end_that_reaches_nobody_at_first(scene: Scene) -> None:
    """Have all posts refused as the session ends, and in what tries them again.

    A session with more than 1,000 listeners invokes the outcome function with slices of its end.
    """
    _, created = scene.create()
    listener, joined = scene.join(created)
    listener_id = joined["connectionId"]
    ended = messages.session_ended(created["sessionId"], EndReason.SPEAKER_ENDED)
    for function, happen in (
        ("disconnect", lambda: close_cleanly(scene, created)),
        ("outcome", lambda: post_slice(scene, [listener_id], ended, is_end=True)),
        ("sweep", lambda: scene.enforced.invoke("sweep", SCHEDULED)),
    ):
        with scene.enforced.without(function, "execute-api:ManageConnections", "post"):
            happen()
    scene.enforced.invoke("sweep", SCHEDULED)
    assert listener.receive()["reason"] == "speakerEnded"


def post_slice(
    scene: Scene, connection_ids: Sequence[str], message: messages.Message, *, is_end: bool = False
) -> None:
    """Have the outcome function post a message to some of a session's listeners."""
    now = time.time()
    part = Slice(
        message["sessionId"],
        scene.enforced.callback_url,
        connection_ids,
        messages.encode(message, int(now * 1000)),
        posts_until_ms=int((now + WAIT_SECONDS) * 1000),
        is_end=is_end,
    )
    scene.enforced.invoke("outcome", part.to_event())


def by_refused_handshakes(scene: Scene) -> None:
    _, created = scene.create()
    unknown = {**created, "sessionId": "golden-eagle-427"}
    assert refused_with(scene.target, **join(unknown)) == scene.target.status(404)
    assert refused_with(scene.target, **join(created, inviteCode="guess")) == 403


def by_a_bad_token(scene: Scene) -> None:
    before = refusals(scene)
    assert refused_with(scene.target, token="no-token") in (401, 403)
    assert refusals(scene) == before + 1


def by_being_refused(scene: Scene) -> None:
    """A connection that keeps being refused is closed by the outcome function."""
    client = scene.open_client()
    for _ in range(20):
        assert client.send('{"action": "fly"}')["code"] == "INVALID_ACTION"
    with pytest.raises(ConnectionClosed):
        client.receive()


def by_an_outcome_for_a_connection_that_is_gone(scene: Scene) -> None:
    """The outcome function removes the count of refused commands of a connection that is gone."""
    connection_id = "no-such-connection"
    table = scene.enforced.stack.outputs["table_names"]["connections"]
    scene.enforced.client("dynamodb").put_item(
        TableName=table, Item={"connectionId": {"S": connection_id}, "refusals": {"N": "1"}}
    )
    joined = {"type": "sessionJoined", "sessionId": "golden-eagle-427", "status": "active"}
    outcome = Delivery(connection_id, scene.enforced.callback_url, [joined])
    scene.enforced.invoke("outcome", outcome.to_event())
    records = scene.target.records("CONNECTIONS_TABLE")
    assert connection_id not in [it["connectionId"]["S"] for it in records]


def refusals(scene: Scene) -> int:
    table = scene.enforced.stack.outputs["table_names"]["rate_limits"]
    items = scene.enforced.client("dynamodb").scan(TableName=table)["Items"]
    return sum(int(item["refused"]["N"]) for item in items if "refused" in item)


def is_gone(enforced: Enforced, connection_id: str) -> bool:
    connections = aws.client("apigatewaymanagementapi", enforced.callback_url)
    try:
        connections.get_connection(ConnectionId=connection_id)
    except connections.exceptions.GoneException:
        return True
    return False
