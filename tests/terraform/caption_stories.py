"""Stories of captions, told where IAM is enforced."""

import time
from typing import Any

from chalicelib import messages
from chalicelib.models import Caption
from tests.stories.target import Client, until
from tests.stories.test_a_session import count
from tests.terraform.long_sessions import GHOST, Message, Scene, join, post_slice, put_ghost

TEXT = "Good morning"
TRANSLATION = "[es] Good morning"
"""What the stand-in for Amazon Translate answers."""


def by_a_speaker(scene: Scene) -> None:
    """A listener reads the phrase, and reads it again. The pipeline translates it for another."""
    speaker, created = scene.create()
    spanish, _ = scene.join(created)
    listener = scene.open_client()
    assert listener.ask(**{**join(created), "targetLanguage": "en"})["lastSeq"] == 0
    accepted = outcome_of(speaker, action="sendCaption", text=TEXT)
    assert (accepted["type"], accepted["seq"]) == ("captionAccepted", 1)
    assert listener.receive()["text"] == TEXT
    missed = listener.ask(action="getCaptions", afterSeq=0)
    assert [it["text"] for it in missed["items"]] == [TEXT]
    assert spanish.receive()["text"] == TRANSLATION


def by_a_pipeline(scene: Scene) -> None:
    """A function of another account would invoke `publish` in the same way."""
    speaker, created, listener = audience(scene)
    caption = {"captionId": "a-caption", "text": TEXT, "startedAt": int(time.time() * 1000)}
    request = {"sessionId": created["sessionId"], "language": "es", "captions": [caption]}
    answer = scene.enforced.invoke("publish", request)
    assert answer == {"seqs": [1], "reached": 1, "gone": 1, "failed": 0, "listeners": 2}
    check_delivery(speaker, listener, TEXT)


def by_the_interpreter(scene: Scene) -> None:
    speaker, created, listener = audience(scene)
    scene.enforced.invoke("interpreter", spoken(created))
    check_delivery(speaker, listener, TRANSLATION)


def by_the_interpreter_without_translations(scene: Scene) -> None:
    """A translation that fails has no number, and the listener misses none."""
    _, created, listener = audience(scene)
    with scene.enforced.handler("interpreter", "failing.interpreter"):
        scene.enforced.invoke("interpreter", spoken(created))
    assert listener.ask(action="getCaptions", afterSeq=0)["lastSeq"] == 0


def by_a_slice(scene: Scene) -> None:
    """A session with more than 1,000 listeners posts a caption in slices.

    The listener that is gone is counted out, of which the speaker gets a notice.
    """
    speaker, created = scene.create()
    listener, joined = scene.join(created)
    assert next_audience(speaker) == 1
    put_ghost(scene, created["sessionId"])
    caption = messages.caption(
        created["sessionId"], "es", 1, Caption("a-caption", TRANSLATION, int(time.time() * 1000))
    )
    post_slice(scene, [joined["connectionId"], GHOST], caption)
    assert listener.receive()["text"] == TRANSLATION
    assert next_audience(speaker) == 1


def next_audience(speaker: Client) -> int:
    """Return how many listeners there are by the next notice of the audience."""
    while (message := speaker.receive_any())["type"] != "sessionStatus":
        pass
    return int(message["listenerCount"])


def audience(scene: Scene) -> tuple[Client, Message, Client]:
    """Have a session with a listener, and with one whose connection is gone."""
    speaker, created = scene.create()
    listener, _ = scene.join(created)
    put_ghost(scene, created["sessionId"])
    until(lambda: count(speaker) == 2)
    return speaker, created, listener


def check_delivery(speaker: Client, listener: Client, text: str) -> None:
    """Check that the listener got and can get the caption, and that the other is counted out."""
    assert listener.receive()["text"] == text
    kept = listener.ask(action="getCaptions", afterSeq=0)["items"]
    assert [it["text"] for it in kept] == [text]
    until(lambda: count(speaker) == 1)


def outcome_of(client: Client, **command: Any) -> Message:
    """Send a command, and return its outcome, which notices of the audience can precede."""
    client.tell(**command, requestId="a-request")
    while (message := client.receive()).get("requestId") != "a-request":
        assert message["type"] == "sessionStatus"
    return message


def spoken(created: Message) -> dict[str, Any]:
    now_ms = int(time.time() * 1000)
    return {
        "version": 1,
        "type": "captionSpoken",
        "sessionId": created["sessionId"],
        "timestamp": now_ms,
        "language": "en",
        "captionId": "a-caption",
        "text": TEXT,
        "startedAt": now_ms,
        "languages": ["es"],
        "seq": 1,
    }
