"""The publication of captions, with moto's DynamoDB and fake connections."""

import json
from collections.abc import Callable, Collection
from dataclasses import replace
from typing import Any

import pytest

from chalicelib import messages, telemetry
from chalicelib.aws.connections import FanOut
from chalicelib.aws.wire import Unreachable
from chalicelib.dispatch import Dispatcher
from chalicelib.errors import MessageTooLarge, ServiceUnavailable, SessionNotFound
from chalicelib.models import Audio, Caption
from chalicelib.notices import MAX_POSTS_SECONDS, Notices
from chalicelib.publishing import (
    MAX_CAPTION_BYTES,
    TURN_POLL_SECONDS,
    TURN_SECONDS,
    Published,
    Publishing,
)
from chalicelib.store.caption_numbers import BEGINNING_SECONDS
from chalicelib.store.stores import Stores, build_stores
from tests.unit.fakes import TABLES, Clock, FakeConnections, frame, join, reply, scan
from tests.unit.fakes import with_failing as failing_stores

NOW_MS = 1_800_000_000_000


def caption(number: int, text: str = "Buenos días.", **rest: Any) -> Caption:
    return Caption(f"phrase-{number}", text, NOW_MS - 1000, **rest)


@pytest.fixture
def publishing_of(
    stores: Stores, phones: FakeConnections, notices_of: Callable[..., Notices], clock: Clock
) -> Callable[..., Publishing]:
    """Return a function that builds a publication whose waits advance the clock."""

    def publishing_of(
        stores: Stores = stores,
        connections: Any = phones,
        sleep: Callable[[float], None] = clock.sleep,
    ) -> Publishing:
        return Publishing(stores, notices_of(stores, connections), clock, sleep, clock)

    return publishing_of


@pytest.fixture
def publishing(publishing_of: Callable[..., Publishing]) -> Publishing:
    return publishing_of()


@pytest.fixture
def attended_id(dispatcher: Dispatcher, session_id: str) -> str:
    """Return the ID of a session with two listeners in es, and one in fr."""
    for number, language in enumerate(("es", "es", "fr")):
        join(dispatcher, number, session_id, language)
    return session_id


def heard(phones: FakeConnections, number: int) -> list[dict[str, Any]]:
    return phones.inbox.get(f"listener-{number}=", [])


def seqs(inbox: list[dict[str, Any]]) -> list[int]:
    return [message["seq"] for message in inbox]


def stored(dynamodb: Any) -> dict[tuple[str, int], dict[str, Any]]:
    return {
        (item["sessionLanguage"]["S"], int(item["seq"]["N"])): item
        for item in scan(dynamodb, "captions")
    }


# Refusals


def test_a_caption_for_an_unknown_session_is_neither_stored_nor_posted(
    publishing: Publishing, dynamodb: Any, phones: FakeConnections
) -> None:
    with pytest.raises(SessionNotFound):
        publishing.publish("golden-eagle-999", "es", [caption(1)])
    assert (scan(dynamodb, "captions"), phones.inbox) == ([], {})


def of_size(session_id: str, size: int) -> Caption:
    """Return a caption whose message has a size."""

    def with_data(length: int) -> Caption:
        return caption(1, audio=Audio(data="A" * length, content_type="audio/mpeg"))

    longest = messages.caption(session_id, "es", 10**6, with_data(0))
    return with_data(size - len(messages.encode(longest, 10**12)))


def test_of_a_batch_with_a_caption_that_is_too_large_nothing_is_published(
    publishing: Publishing, dynamodb: Any, attended_id: str, phones: FakeConnections
) -> None:
    for size in (MAX_CAPTION_BYTES + 1, 33 * 1024):
        with pytest.raises(MessageTooLarge):
            publishing.publish(attended_id, "es", [caption(2), of_size(attended_id, size)])
        with pytest.raises(MessageTooLarge):
            publishing.publish_translation(attended_id, "es", of_size(attended_id, size), 1)
    assert (scan(dynamodb, "captions"), phones.inbox) == ([], {})
    assert publishing.publish(attended_id, "es", [caption(2)]).seqs == [1]


def test_a_caption_of_the_largest_size_is_delivered_and_recovered(
    publishing: Publishing, attended_id: str, phones: FakeConnections, dispatcher: Dispatcher
) -> None:
    largest = of_size(attended_id, MAX_CAPTION_BYTES)
    publishing.publish(attended_id, "es", [largest])
    (message,) = heard(phones, 0)
    assert largest.audio
    assert message["audio"]["data"] == largest.audio.data
    assert len(json.dumps(message, separators=(",", ":"))) in range(32 * 1024 - 9, 32 * 1024 + 1)
    # Each character of this request ID has 12 bytes in JSON.
    asking = {"action": "getCaptions", "afterSeq": 0, "requestId": "\U0001f600" * 64}
    answer = dispatcher.message(frame("listener-0=", **asking))["body"]
    assert [each["seq"] for each in json.loads(answer)["items"]] == [1]
    assert len(answer.encode()) <= 33 * 1024


# Failures of dependencies


@pytest.mark.parametrize("method", ["caption_numbers.give", "listeners.list_ids"])
def test_a_publication_fails_if_the_store_does(
    publishing_of: Callable[..., Publishing],
    stores: Stores,
    attended_id: str,
    phones: FakeConnections,
    method: str,
) -> None:
    with pytest.raises(ServiceUnavailable):
        publishing_of(failing_stores(stores, method)).publish(attended_id, "es", [caption(1)])
    assert phones.inbox == {}


def test_a_caption_whose_listeners_can_not_be_listed_is_kept_for_them(
    publishing_of: Callable[..., Publishing], stores: Stores, attended_id: str, dynamodb: Any
) -> None:
    broken = publishing_of(failing_stores(stores, "listeners.list_ids"))
    with pytest.raises(ServiceUnavailable):
        broken.publish(attended_id, "es", [caption(1)])
    assert set(stored(dynamodb)) == {(f"{attended_id}#es", 1)}


def test_a_caption_that_can_not_be_stored_is_delivered_and_logged_without_its_text(
    publishing: Publishing,
    dynamodb: Any,
    attended_id: str,
    phones: FakeConnections,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def refuse(operation: str, _request: dict[str, Any]) -> None:
        if operation == "PutItem":
            raise Unreachable("marked", was_sent=False)

    telemetry.configure("DEBUG", "dev", b"key")
    dynamodb.transport.on_request.append(refuse)
    published = publishing.publish(attended_id, "es", [caption(1, "marked")])
    assert published == Published([1], reached=2, listeners=2)
    assert seqs(heard(phones, 0)) == seqs(heard(phones, 1)) == [1]
    out = capsys.readouterr().out
    assert "marked" not in out
    (line,) = [
        fields for fields in map(json.loads, out.splitlines()) if fields.get("level") == "WARNING"
    ]
    assert line.pop("time")
    assert line == {
        "level": "WARNING",
        "message": "caption not kept",
        "sessionId": attended_id,
        "language": "es",
        "seq": 1,
        "cause": "ServiceUnavailable",
    }


def test_posts_that_are_late_get_more_time(
    publishing_of: Callable[..., Publishing], stores: Stores, attended_id: str, clock: Clock
) -> None:
    limits: list[float] = []

    class Timed(FakeConnections):
        def fan_out(
            self, connection_ids: Collection[str], text: str, limit_seconds: float = 10
        ) -> FanOut:
            limits.append(limit_seconds)
            if limit_seconds > 0:
                return super().fan_out(connection_ids, text)
            return FanOut(0, frozenset(), len(connection_ids), frozenset(connection_ids))

    class Slow:
        """A listing that takes some time."""

        def __init__(self, seconds: float) -> None:
            self.seconds = seconds

        def list_ids(self, *arguments: str) -> list[str]:
            clock.now += self.seconds
            return stores.listeners.list_ids(*arguments)

    results = [
        publishing_of(replace(stores, listeners=Slow(seconds)), Timed()).publish(  # type: ignore[arg-type]
            attended_id, "es", [caption(number)]
        )
        for number, seconds in enumerate((0, 0.1, 0.31, 3))
    ]
    assert limits == pytest.approx([0.302, 0.202, 0, 2, 0, 2], abs=0.002)
    assert [each.reached for each in results] == [2, 2, 2, 2]
    assert [each.failed for each in results] == [0, 0, 0, 0]


@pytest.mark.parametrize("change", ["pauseSession", "endSession"])
def test_a_late_caption_is_not_posted_after_a_pause_or_an_end(
    publishing_of: Callable[..., Publishing],
    stores: Stores,
    dispatcher: Dispatcher,
    attended_id: str,
    phones: FakeConnections,
    clock: Clock,
    change: str,
) -> None:
    class Slow:
        """A listing that takes some time, in which the speaker sends a command."""

        def list_ids(self, *arguments: str) -> list[str]:
            listener_ids = stores.listeners.list_ids(*arguments)
            clock.now += 0.31
            dispatcher.message(frame("speaker=", "user-1", action=change))
            return listener_ids

    slow: Any = replace(stores, listeners=Slow())  # type: ignore[arg-type]
    published = publishing_of(slow).publish(attended_id, "es", [caption(1)])
    assert published == Published([1], failed=2, listeners=2)
    assert [each for each in heard(phones, 0) if each["type"] == "caption"] == []


def test_an_end_waits_for_late_posts_even_if_another_caption_follows(
    stores: Stores, attended_id: str, clock: Clock
) -> None:
    numbers = stores.caption_numbers
    numbered = numbers.give(attended_id, "es", "a")
    clock.now += 0.4
    extended = numbers.extend_posts(numbered.session)
    assert extended is not None
    assert extended.captions_until_ms == int(clock.now * 1000) + 2000
    again = numbers.extend_posts(numbered.session)
    assert again is not None
    assert again.captions_until_ms == extended.captions_until_ms
    later = numbers.give(attended_id, "fr", "a")
    assert later.session.captions_until_ms == extended.captions_until_ms


def test_gone_listeners_are_removed_and_get_nothing_more(
    publishing: Publishing,
    stores: Stores,
    attended_id: str,
    phones: FakeConnections,
    clock: Clock,
) -> None:
    clock.now += 60
    phones.closed.add("listener-1=")
    published = publishing.publish(attended_id, "es", [caption(1), caption(2)])
    assert published == Published([1, 2], reached=2, gone=1, listeners=2)
    session = stores.sessions.find_open(attended_id)
    assert session is not None
    assert session.languages == {"es": 1, "fr": 1}
    assert publishing.publish(attended_id, "es", [caption(3)]).listeners == 1


def test_a_refused_post_counts_as_failed(
    publishing: Publishing, attended_id: str, phones: FakeConnections
) -> None:
    phones.throttled.add("listener-1=")
    published = publishing.publish(attended_id, "es", [caption(1)])
    assert published == Published([1], reached=1, failed=1, listeners=2)


# Deliveries


def test_only_the_listeners_of_the_language_get_a_caption(
    publishing: Publishing, attended_id: str, phones: FakeConnections, clock: Clock
) -> None:
    clock.now += 0.5
    audio = Audio(url="https://media.example/1.mp3")
    publishing.publish(attended_id, "es", [caption(1, duration_ms=900, audio=audio)])
    assert heard(phones, 2) == []
    assert heard(phones, 0) == heard(phones, 1)
    assert heard(phones, 0) == [
        {
            "type": "caption",
            "sessionId": attended_id,
            "language": "es",
            "seq": 1,
            "captionId": "phrase-1",
            "text": "Buenos días.",
            "startedAt": NOW_MS - 1000,
            "durationMs": 900,
            "audio": {"url": "https://media.example/1.mp3"},
            "timestamp": NOW_MS + 500,
        }
    ]


def test_a_superseded_listener_gets_no_caption(
    publishing: Publishing, dispatcher: Dispatcher, attended_id: str, phones: FakeConnections
) -> None:
    refresh = {"role": "listener", "targetLanguage": "es", "connectionId": "listener-0="}
    dispatcher.message(frame("new=", action="refreshConnection", sessionId=attended_id, **refresh))
    assert publishing.publish(attended_id, "es", [caption(1)]).listeners == 2
    assert heard(phones, 0) == []
    assert seqs(phones.inbox["new="]) == [1]


def test_a_caption_nobody_listens_to_is_kept(
    publishing: Publishing, session_id: str, dynamodb: Any
) -> None:
    assert publishing.publish(session_id, "sw", [caption(1)]) == Published([1])
    assert set(stored(dynamodb)) == {(f"{session_id}#sw", 1)}


def test_a_batch_is_published_in_order_to_listeners_that_are_listed_once(
    publishing: Publishing, dynamodb: Any, attended_id: str, phones: FakeConnections
) -> None:
    dynamodb.transport.requests.clear()
    published = publishing.publish(attended_id, "es", [caption(n) for n in range(1, 11)])
    assert published == Published(list(range(1, 11)), reached=20, listeners=2)
    assert seqs(heard(phones, 0)) == list(range(1, 11))
    operations = [operation for operation, _ in dynamodb.transport.requests]
    assert sorted(operations) == ["PutItem"] * 10 + ["Query"] + ["UpdateItem"] * 10


def test_a_publication_is_measured_and_logged_without_its_id_and_text(
    publishing_of: Callable[..., Publishing],
    stores: Stores,
    attended_id: str,
    clock: Clock,
    capsys: pytest.CaptureFixture[str],
) -> None:
    class Slow:
        def list_ids(self, *arguments: str) -> list[str]:
            clock.now += 0.125
            return stores.listeners.list_ids(*arguments)

    telemetry.configure("DEBUG", "dev", b"key")
    slow: Any = replace(stores, listeners=Slow())  # type: ignore[arg-type]
    publishing_of(slow).publish(attended_id, "es", [Caption("marked-id", "marked", 0)])
    out = capsys.readouterr().out
    assert "marked" not in out
    lines = [json.loads(line) for line in out.splitlines()]
    (measured,) = [line for line in lines if "CaptionsPublished" in line]
    assert (measured["CaptionsPublished"], measured["CaptionsDelivered"]) == (1, 2)
    assert measured["CaptionLatency"] == pytest.approx(125, abs=0.01)
    (line,) = [line for line in lines if line.get("message") == "caption published"]
    assert {name: line[name] for name in ("sessionId", "language", "seq", "reached")} == {
        "sessionId": attended_id,
        "language": "es",
        "seq": 1,
        "reached": 2,
    }
    assert line["caption"] == telemetry.hash_of("marked-id")


# Storage


def test_a_caption_is_stored_with_its_time_and_expiry(
    publishing: Publishing, session_id: str, dynamodb: Any
) -> None:
    audio = Audio(data="AAAA", content_type="audio/mpeg")
    publishing.publish(session_id, "es", [caption(1, duration_ms=0, audio=audio)])
    assert stored(dynamodb)[f"{session_id}#es", 1] == {
        "sessionLanguage": {"S": f"{session_id}#es"},
        "seq": {"N": "1"},
        "captionId": {"S": "phrase-1"},
        "text": {"S": "Buenos días."},
        "startedAt": {"N": str(NOW_MS - 1000)},
        "durationMs": {"N": "0"},
        "audio": {"M": {"data": {"S": "AAAA"}, "contentType": {"S": "audio/mpeg"}}},
        "storedAt": {"N": str(NOW_MS)},
        "ttl": {"N": str(NOW_MS // 1000 + 600)},
    }


def test_a_stage_that_keeps_no_captions_stores_none_and_delivers_them(
    publishing_of: Callable[..., Publishing],
    dynamodb: Any,
    attended_id: str,
    phones: FakeConnections,
    clock: Clock,
) -> None:
    keeping_none = publishing_of(build_stores(dynamodb, TABLES, 0, clock))
    assert keeping_none.publish(attended_id, "es", [caption(1)]).reached == 2
    assert keeping_none.publish(attended_id, "es", [caption(1)]).seqs == [1]
    assert scan(dynamodb, "captions") == []
    assert seqs(heard(phones, 0)) == [1]


# Repetitions


def test_a_repeated_caption_has_the_same_number_and_is_delivered_once(
    publishing: Publishing, dynamodb: Any, attended_id: str, phones: FakeConnections
) -> None:
    first = publishing.publish(attended_id, "es", [caption(1), caption(2)])
    again = publishing.publish(attended_id, "es", [caption(1, "other"), caption(3)])
    assert (first.seqs, again.seqs) == ([1, 2], [1, 3])
    assert (again.reached, again.listeners) == (2, 2)
    assert seqs(heard(phones, 0)) == [1, 2, 3]
    assert stored(dynamodb)[f"{attended_id}#es", 1]["text"] == {"S": "Buenos días."}


def test_a_repeated_caption_is_stored_if_the_first_event_stopped_before(
    publishing: Publishing,
    stores: Stores,
    dynamodb: Any,
    attended_id: str,
    phones: FakeConnections,
) -> None:
    stores.caption_numbers.give(attended_id, "es", "phrase-1")
    assert publishing.publish(attended_id, "es", [caption(1)]) == Published([1])
    assert set(stored(dynamodb)) == {(f"{attended_id}#es", 1)}
    assert phones.inbox == {}


def test_a_caption_may_be_twice_in_one_batch(
    publishing: Publishing, attended_id: str, phones: FakeConnections
) -> None:
    assert publishing.publish(attended_id, "es", [caption(1), caption(1)]).seqs == [1, 1]
    assert seqs(heard(phones, 0)) == [1]


def test_a_pipelines_caption_in_the_source_language_has_the_speakers_numbers(
    publishing: Publishing, dispatcher: Dispatcher, session_id: str, phones: FakeConnections
) -> None:
    join(dispatcher, 0, session_id, "en")
    dispatcher.message(frame("speaker=", "user-1", action="sendCaption", text="a"))
    assert publishing.publish(session_id, "en", [caption(2)]).seqs == [2]
    dispatcher.message(frame("speaker=", "user-1", action="sendCaption", text="c"))
    assert seqs(heard(phones, 0)) == [1, 2, 3]


# Translations


def test_translations_are_published_in_the_order_of_the_phrases(
    publishing_of: Callable[..., Publishing], attended_id: str, phones: FakeConnections
) -> None:
    publishing = publishing_of()
    publishing.publish_translation(attended_id, "es", caption(1), 1)

    waits: list[float] = []

    def sleep(seconds: float) -> None:
        """Publish the earlier phrase during the second wait."""
        waits.append(seconds)
        if len(waits) == 2:
            publishing.publish_translation(attended_id, "es", caption(2), 2)

    waiting = publishing_of(sleep=sleep)
    assert waiting.publish_translation(attended_id, "es", caption(3), 3).seqs == [3]
    assert waits == [TURN_POLL_SECONDS] * 2
    assert [each["captionId"] for each in heard(phones, 0)] == ["phrase-1", "phrase-2", "phrase-3"]


def test_a_translation_without_an_order_is_published_at_once(
    publishing: Publishing, attended_id: str, clock: Clock
) -> None:
    publishing.publish_translation(attended_id, "es", caption(1), 1)
    began_at = clock.now
    assert publishing.publish_translation(attended_id, "es", caption(2), None).seqs == [2]
    assert clock.now == began_at


def test_the_first_translations_into_a_new_language_are_in_order(
    publishing_of: Callable[..., Publishing],
    dispatcher: Dispatcher,
    attended_id: str,
    phones: FakeConnections,
) -> None:
    for name in ("phrase-1", "phrase-2"):
        sent = {"action": "sendCaption", "text": "a", "captionId": name}
        assert reply(dispatcher.message(frame("speaker=", "user-1", **sent)))["seq"]
    publishing = publishing_of()
    waits: list[float] = []

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        publishing.publish_translation(attended_id, "es", caption(1), 1)

    publishing_of(sleep=sleep).publish_translation(attended_id, "es", caption(2), 2)
    assert waits
    assert [each["captionId"] for each in heard(phones, 0)] == ["phrase-1", "phrase-2"]


def test_a_phrase_does_not_wait_for_one_before_its_language_became_idle(
    publishing: Publishing, dispatcher: Dispatcher, attended_id: str, clock: Clock
) -> None:
    for name in ("phrase-1", "phrase-2"):
        sent = {"action": "sendCaption", "text": "a", "captionId": name}
        assert reply(dispatcher.message(frame("speaker=", "user-1", **sent)))["seq"]
        clock.now += BEGINNING_SECONDS
    began_at = clock.now
    assert publishing.publish_translation(attended_id, "es", caption(2), 2).seqs == [1]
    assert clock.now == began_at


def test_a_translation_waits_three_seconds_at_most(
    publishing: Publishing, attended_id: str, clock: Clock, phones: FakeConnections
) -> None:
    publishing.publish_translation(attended_id, "es", caption(1), 1)
    began_at = clock.now
    assert publishing.publish_translation(attended_id, "es", caption(3), 3).seqs == [2]
    assert clock.now - began_at == pytest.approx(TURN_SECONDS, abs=TURN_POLL_SECONDS)
    # The phrase that was too late follows at once.
    began_at = clock.now
    assert publishing.publish_translation(attended_id, "es", caption(2), 2).seqs == [3]
    assert clock.now == began_at
    assert [each["captionId"] for each in heard(phones, 0)] == ["phrase-1", "phrase-3", "phrase-2"]


def test_a_failed_translation_does_not_hold_up_the_next(
    publishing: Publishing, attended_id: str, clock: Clock
) -> None:
    publishing.publish_translation(attended_id, "es", caption(1), 1)
    began_at = clock.now
    publishing.skip_translation(attended_id, "es", 2)
    assert publishing.publish_translation(attended_id, "es", caption(3), 3).seqs == [2]
    assert clock.now == began_at


def test_a_failed_translation_waits_for_its_turn_and_gives_up(
    publishing: Publishing, attended_id: str, clock: Clock
) -> None:
    publishing.publish_translation(attended_id, "es", caption(1), 1)
    began_at = clock.now
    publishing.skip_translation(attended_id, "es", 3)
    assert clock.now - began_at == pytest.approx(TURN_SECONDS, abs=TURN_POLL_SECONDS)
    # The phrase in between is still on its way.
    assert publishing.publish_translation(attended_id, "es", caption(2), 2).seqs == [2]


def test_a_translation_that_fails_after_it_has_its_number_does_not_wait(
    publishing: Publishing, attended_id: str, clock: Clock
) -> None:
    publishing.publish_translation(attended_id, "es", caption(1), 1)
    publishing.publish_translation(attended_id, "es", caption(2), 2)
    began_at = clock.now
    for order in (1, 2):
        publishing.skip_translation(attended_id, "es", order)
    publishing.skip_translation("golden-eagle-999", "es", 1)
    assert clock.now == began_at
    assert publishing.publish_translation(attended_id, "es", caption(3), 3).seqs == [3]
    assert clock.now == began_at


def test_a_translation_for_a_session_that_has_ended_does_not_wait(
    publishing: Publishing, dispatcher: Dispatcher, attended_id: str, clock: Clock
) -> None:
    publishing.publish_translation(attended_id, "es", caption(1), 1)
    clock.now += 2
    dispatcher.message(frame("speaker=", "user-1", action="endSession"))
    began_at = clock.now
    with pytest.raises(SessionNotFound):
        publishing.publish_translation(attended_id, "es", caption(3), 3)
    assert clock.now == began_at


# The last caption before a pause or an end


@pytest.mark.parametrize(
    ("action", "notice"), [("pauseSession", "sessionPaused"), ("endSession", "sessionEnded")]
)
@pytest.mark.parametrize(
    ("age_seconds", "wait_seconds"), [(0, 0.303), (0.2, 0.103), (0.31, 0), (60, 0)]
)
def test_a_pause_and_an_end_wait_for_the_posts_of_the_last_caption(
    publishing: Publishing,
    dispatcher: Dispatcher,
    attended_id: str,
    clock: Clock,
    phones: FakeConnections,
    action: str,
    notice: str,
    age_seconds: float,
    wait_seconds: float,
) -> None:
    publishing.publish(attended_id, "es", [caption(1)])
    clock.now += age_seconds
    began_at = clock.now
    dispatcher.message(frame("speaker=", "user-1", action=action))
    assert clock.now - began_at == pytest.approx(wait_seconds, abs=0.002)
    assert [each["type"] for each in heard(phones, 0)] == ["caption", notice]


def test_a_session_without_captions_is_paused_at_once(
    dispatcher: Dispatcher, attended_id: str, clock: Clock
) -> None:
    began_at = clock.now
    dispatcher.message(frame("speaker=", "user-1", action="pauseSession"))
    assert clock.now == began_at


def test_a_clock_that_is_ahead_of_others_delays_a_pause_by_two_seconds_at_most(
    publishing: Publishing, dispatcher: Dispatcher, attended_id: str, clock: Clock
) -> None:
    clock.now += 3600
    publishing.publish(attended_id, "es", [caption(1)])
    clock.now -= 3600
    began_at = clock.now
    dispatcher.message(frame("speaker=", "user-1", action="pauseSession"))
    assert clock.now - began_at == pytest.approx(MAX_POSTS_SECONDS)
