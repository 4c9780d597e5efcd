"""The numbers of captions on a session's item."""

import hashlib
from base64 import urlsafe_b64encode
from typing import Any

import pytest

from chalicelib.aws.dynamodb import DynamoDB
from chalicelib.aws.retries import Retries
from chalicelib.aws.wire import Unreachable
from chalicelib.dispatch import Dispatcher
from chalicelib.errors import NoSession, RateLimitExceeded, ServiceUnavailable, SessionNotFound
from chalicelib.models import SOURCE
from chalicelib.store.caption_numbers import (
    KEPT_IDS,
    MOST_OBSOLETE,
    REMEMBERED_SESSIONS,
    CaptionNumberStore,
    NotYet,
    Numbered,
    Speaking,
)
from chalicelib.store.stores import Stores, build_stores
from tests.unit.fakes import TABLES, Clock, PlayedTransport, closing, frame

SPEAKING = Speaking("speaker=", 60)


@pytest.fixture
def numbers(stores: Stores) -> CaptionNumberStore:
    return stores.caption_numbers


def fresh(dynamodb: Any, clock: Clock) -> CaptionNumberStore:
    """Return the store of another process, which has seen no session."""
    return build_stores(dynamodb, TABLES, 600, clock).caption_numbers


def item_of(dynamodb: Any, session_id: str) -> dict[str, Any]:
    item: dict[str, Any] = dynamodb.get_item(
        TableName="sessions", Key={"sessionId": {"S": session_id}}, ConsistentRead=True
    )
    return item


def ids_of(dynamodb: Any, session_id: str, key: str) -> set[str]:
    return {name for name in item_of(dynamodb, session_id) if name.startswith(f"id:{key}:")}


def attribute(key: str, caption_id: str) -> str:
    digest = hashlib.sha256(caption_id.encode()).digest()[:9]
    return f"id:{key}:{urlsafe_b64encode(digest).decode()}"


# Sessions that aren't open


def test_an_unknown_session_gives_no_number(numbers: CaptionNumberStore, dynamodb: Any) -> None:
    for give in (
        lambda: numbers.give("golden-eagle-999", "es", "a"),
        lambda: numbers.give_spoken("golden-eagle-999", "a", SPEAKING),
        lambda: numbers.give_translated("golden-eagle-999", "es", "a", 1),
        lambda: numbers.give_translated("golden-eagle-999", "es", "a", 1, is_late=True),
    ):
        with pytest.raises(SessionNotFound):
            give()
    numbers.skip_translated("golden-eagle-999", "es", 1)
    assert item_of(dynamodb, "golden-eagle-999") == {}


def end(dispatcher: Dispatcher, clock: Clock) -> None:
    dispatcher.message(frame("speaker=", "user-1", action="endSession"))


def expire(dispatcher: Dispatcher, clock: Clock) -> None:
    clock.now += 7200


def lose(dispatcher: Dispatcher, clock: Clock) -> None:
    dispatcher.disconnect(closing("speaker=", 1006))
    clock.now += 60


@pytest.mark.parametrize("close", [end, expire, lose])
def test_a_session_that_is_over_gives_no_number_not_even_a_known_one(
    numbers: CaptionNumberStore, dispatcher: Dispatcher, session_id: str, clock: Clock, close: Any
) -> None:
    numbers.give(session_id, "es", "a")
    close(dispatcher, clock)
    for caption_id in ("a", "b"):
        for give in (
            lambda each=caption_id: numbers.give(session_id, "es", each),
            lambda each=caption_id: numbers.give(session_id, "en", each),
            lambda each=caption_id: numbers.give_spoken(session_id, each, SPEAKING),
            lambda each=caption_id: numbers.give_translated(session_id, "es", each, 1),
        ):
            with pytest.raises(SessionNotFound):
                give()


def test_a_session_that_waits_for_its_speaker_gives_numbers(
    numbers: CaptionNumberStore, dispatcher: Dispatcher, session_id: str
) -> None:
    dispatcher.disconnect(closing("speaker=", 1006))
    assert numbers.give(session_id, "es", "a").seq == 1


def test_an_unreachable_store_gives_no_number(clock: Clock) -> None:
    down = DynamoDB(PlayedTransport(Unreachable("x", was_sent=False)), Retries("store"))
    numbers = build_stores(down, TABLES, 600, clock).caption_numbers
    with pytest.raises(ServiceUnavailable):
        numbers.give("golden-eagle-100", "es", "a")


# Numbers


def test_numbers_count_from_1_in_each_language(
    numbers: CaptionNumberStore, session_id: str, clock: Clock
) -> None:
    assert [numbers.give(session_id, "es", each).seq for each in "abc"] == [1, 2, 3]
    clock.now += 0.25
    numbered = numbers.give(session_id, "fr", "a")
    assert (numbered.seq, numbered.is_new) == (1, True)
    assert numbered.session.last_seq("es") == 3
    assert numbered.session.last_seq("fr") == 1
    assert numbered.session.last_seq("de") == numbered.session.last_seq("en") == 0
    assert numbered.session.captions_until_ms == 1_800_000_000_550


def test_a_repeated_id_has_its_number_and_takes_none(
    numbers: CaptionNumberStore, dynamodb: Any, clock: Clock, session_id: str
) -> None:
    numbers.give(session_id, "es", "a")
    numbers.give(session_id, "es", "b")
    clock.now += 5
    for store in (numbers, fresh(dynamodb, clock)):
        again = store.give(session_id, "es", "a")
        assert (again.seq, again.is_new) == (1, False)
        assert again.session.captions_until_ms == 1_800_000_000_300
        assert again.session.last_seq("es") == 2


def test_a_speakers_and_a_pipelines_caption_in_the_source_language_share_numbers(
    numbers: CaptionNumberStore, session_id: str
) -> None:
    assert numbers.give_spoken(session_id, "a", SPEAKING).seq == 1
    assert numbers.give(session_id, "en", "b").seq == 2
    again = numbers.give(session_id, "en", "a")
    assert (again.seq, again.is_new) == (1, False)
    again = numbers.give_spoken(session_id, "b", SPEAKING)
    assert (again.seq, again.is_new) == (2, False)
    assert numbers.give_spoken(session_id, "c", SPEAKING).session.last_seq("en") == 3


def test_a_language_named_like_the_key_of_the_source_does_not_exist() -> None:
    from chalicelib import languages

    assert SOURCE not in languages.LANGUAGES


@pytest.mark.parametrize("caption_id", ["a:b", "#", "id:es:x", "é" * 128, "\U0001f600" * 128])
def test_an_id_can_have_any_characters(
    numbers: CaptionNumberStore, dynamodb: Any, session_id: str, caption_id: str
) -> None:
    assert numbers.give(session_id, "zh-TW", caption_id).seq == 1
    assert not numbers.give(session_id, "zh-TW", caption_id).is_new
    assert ids_of(dynamodb, session_id, "zh-TW") == {attribute("zh-TW", caption_id)}


def test_a_write_whose_answer_is_lost_gives_one_number(
    numbers: CaptionNumberStore, dynamodb: Any, session_id: str
) -> None:
    lost: list[str] = []

    def lose_first(operation: str, _answer: dict[str, Any]) -> None:
        if operation == "UpdateItem" and not lost:
            lost.append(operation)
            raise Unreachable("late", was_sent=True)

    dynamodb.transport.on_answer.append(lose_first)
    numbered = numbers.give(session_id, "es", "a")
    assert (numbered.seq, numbered.is_new) == (1, True)
    assert lost
    assert not numbers.give(session_id, "es", "a").is_new
    assert numbers.give(session_id, "es", "b").seq == 2


# The speaker's conditions


def test_another_connection_gets_no_spoken_number(
    numbers: CaptionNumberStore, session_id: str
) -> None:
    with pytest.raises(NoSession):
        numbers.give_spoken(session_id, "a", Speaking("other=", 60))
    # Not even if it has sent as much as the speaker may.
    with pytest.raises(NoSession):
        numbers.give_spoken(session_id, "a", Speaking("other=", 0))
    assert numbers.give_spoken(session_id, "a", SPEAKING).seq == 1


def test_a_speaker_is_limited_until_the_next_minute(
    numbers: CaptionNumberStore, session_id: str, clock: Clock
) -> None:
    speaking = Speaking("speaker=", 2)
    clock.now = 1_800_000_000 + 17.5
    assert [numbers.give_spoken(session_id, each, speaking).seq for each in "ab"] == [1, 2]
    with pytest.raises(RateLimitExceeded) as refusal:
        numbers.give_spoken(session_id, "c", speaking)
    assert refusal.value.retry_after_seconds == 43
    # A repeated caption and those of a pipeline don't count.
    assert not numbers.give_spoken(session_id, "a", speaking).is_new
    assert numbers.give(session_id, "en", "c").seq == 3
    clock.now = 1_800_000_060
    assert [numbers.give_spoken(session_id, each, speaking).seq for each in "de"] == [4, 5]
    with pytest.raises(RateLimitExceeded):
        numbers.give_spoken(session_id, "f", speaking)


def test_a_speaker_can_repeat_as_many_captions_as_it_can_send(
    numbers: CaptionNumberStore, dynamodb: Any, session_id: str, clock: Clock
) -> None:
    # Each repeated caption goes to the pipeline again, where its translations cost.
    speaking = Speaking("speaker=", 2)
    clock.now = 1_800_000_000 + 17.5
    for _ in range(3):
        assert numbers.give_spoken(session_id, "a", speaking).seq == 1
    with pytest.raises(RateLimitExceeded) as refusal:
        numbers.give_spoken(session_id, "a", speaking)
    assert refusal.value.retry_after_seconds == 43
    assert numbers.give_spoken(session_id, "b", speaking).seq == 2
    clock.now = 1_800_000_060
    assert numbers.give_spoken(session_id, "a", speaking).seq == 1
    numbers.give_spoken(session_id, "c", speaking)
    numbers.give_spoken(session_id, "d", speaking)
    counters = {each for each in item_of(dynamodb, session_id) if each.startswith("repeated:")}
    assert counters == {f"repeated:{1_800_000_060 // 60}"}


def test_a_repeated_caption_of_a_session_that_ends_meanwhile_is_not_found(
    numbers: CaptionNumberStore, dynamodb: Any, session_id: str
) -> None:
    numbers.give_spoken(session_id, "a", SPEAKING)

    def delete(_operation: str, request: dict[str, Any]) -> None:
        if ":most_repeated" in request.get("ExpressionAttributeValues", {}):
            dynamodb.transport.on_request.clear()
            dynamodb.delete_item(TableName="sessions", Key={"sessionId": {"S": session_id}})

    dynamodb.transport.on_request.append(delete)
    with pytest.raises(SessionNotFound):
        numbers.give_spoken(session_id, "a", SPEAKING)


# Remembered IDs


def test_the_last_20_ids_are_remembered_and_earlier_ones_are_removed(
    numbers: CaptionNumberStore, dynamodb: Any, session_id: str
) -> None:
    for number in range(1, 31):
        numbers.give(session_id, "es", f"id-{number}")
        remembered = ids_of(dynamodb, session_id, "es")
        last = {attribute("es", f"id-{each}") for each in range(max(1, number - 19), number + 1)}
        assert last <= remembered
        assert len(remembered) <= KEPT_IDS + 1
    assert not numbers.give(session_id, "es", "id-11").is_new
    assert numbers.give(session_id, "es", "id-9").is_new


def test_other_languages_do_not_push_ids_out(
    numbers: CaptionNumberStore, dynamodb: Any, session_id: str
) -> None:
    numbers.give_spoken(session_id, "first", SPEAKING)
    for number in range(50):
        numbers.give(session_id, "es", f"id-{number}")
    assert not numbers.give_spoken(session_id, "first", SPEAKING).is_new


def test_too_many_obsolete_attributes_are_removed_by_a_write_of_their_own(
    dynamodb: Any, clock: Clock, session_id: str
) -> None:
    # Each caption comes from a process of its own, which has no later write.
    most = 0
    for number in range(1, 101):
        fresh(dynamodb, clock).give(session_id, "es", f"id-{number}")
        most = max(most, len(ids_of(dynamodb, session_id, "es")))
    assert most == KEPT_IDS + MOST_OBSOLETE
    last = {attribute("es", f"id-{each}") for each in range(81, 101)}
    assert last <= ids_of(dynamodb, session_id, "es")
    assert item_of(dynamodb, session_id)["captions:es"] == {"N": "100"}


def test_a_caption_has_its_number_if_obsolete_attributes_can_not_be_removed(
    dynamodb: Any, clock: Clock, session_id: str
) -> None:
    refused: list[str] = []

    def refuse_removal(_operation: str, request: dict[str, Any]) -> None:
        if request.get("UpdateExpression", "").startswith("REMOVE"):
            refused.append(session_id)
            raise Unreachable("x", was_sent=False)

    dynamodb.transport.on_request.append(refuse_removal)
    for number in range(1, KEPT_IDS + MOST_OBSOLETE + 2):
        numbered = fresh(dynamodb, clock).give(session_id, "es", f"id-{number}")
        assert (numbered.seq, numbered.is_new) == (number, True)
    assert refused
    dynamodb.transport.on_request.clear()
    fresh(dynamodb, clock).give(session_id, "es", "last")
    assert len(ids_of(dynamodb, session_id, "es")) == KEPT_IDS


def test_counters_of_earlier_minutes_are_removed(
    numbers: CaptionNumberStore, dynamodb: Any, clock: Clock, session_id: str
) -> None:
    for number in range(5):
        numbers.give_spoken(session_id, f"id-{number}", SPEAKING)
        clock.now += 60
    numbers.give_spoken(session_id, "last", SPEAKING)
    minutes = {each for each in item_of(dynamodb, session_id) if each.startswith("spoken:")}
    minute = int(clock.now) // 60
    assert f"spoken:{minute}" in minutes
    assert minutes <= {f"spoken:{minute}", f"spoken:{minute - 1}"}


def test_a_clock_that_was_set_back_does_not_remove_the_counter_that_is_written(
    numbers: CaptionNumberStore, dynamodb: Any, clock: Clock, session_id: str
) -> None:
    numbers.give_spoken(session_id, "a", SPEAKING)
    clock.now += 60
    numbers.give_spoken(session_id, "b", SPEAKING)
    clock.now -= 60
    assert numbers.give_spoken(session_id, "c", SPEAKING).seq == 3
    # DynamoDB refuses a write that sets and removes an attribute. Moto doesn't.
    for _, request in dynamodb.transport.requests:
        names = list(request.get("ExpressionAttributeNames", {}).values())
        assert len(names) == len(set(names))


def test_an_id_that_comes_again_as_obsolete_gets_a_number(
    numbers: CaptionNumberStore, dynamodb: Any, clock: Clock, session_id: str
) -> None:
    for number in range(1, 22):
        numbers.give(session_id, "es", f"id-{number}")
    # The store remembers id-1 as obsolete. Another process has removed it in the meantime.
    other = fresh(dynamodb, clock)
    other.give(session_id, "es", "id-22")
    other.give(session_id, "es", "id-23")
    assert numbers.give(session_id, "es", "id-1").seq == 24
    assert attribute("es", "id-1") in ids_of(dynamodb, session_id, "es")


def test_a_process_remembers_the_obsolete_attributes_of_a_limited_number_of_sessions(
    numbers: CaptionNumberStore, dispatcher: Dispatcher, session_id: str
) -> None:
    for number in range(KEPT_IDS + 1):
        numbers.give(session_id, "es", f"id-{number}")
    assert set(numbers._obsolete) == {session_id}
    numbers._obsolete |= {f"other-{number}": ("x",) for number in range(REMEMBERED_SESSIONS)}
    numbers.give(session_id, "es", "next")
    assert set(numbers._obsolete) == {session_id}


# Translations


def give(numbers: CaptionNumberStore, session_id: str, order: int, **named: Any) -> Numbered:
    return numbers.give_translated(session_id, "es", f"phrase-{order}", order, **named)


def test_a_translation_waits_for_the_one_before_it(
    numbers: CaptionNumberStore, session_id: str
) -> None:
    assert give(numbers, session_id, 5).seq == 1
    with pytest.raises(NotYet):
        give(numbers, session_id, 7)
    assert give(numbers, session_id, 6).seq == 2
    assert give(numbers, session_id, 7).seq == 3


def test_a_late_translation_does_not_wait(numbers: CaptionNumberStore, session_id: str) -> None:
    give(numbers, session_id, 1)
    assert give(numbers, session_id, 4, is_late=True).seq == 2
    with pytest.raises(NotYet):
        give(numbers, session_id, 6)
    assert give(numbers, session_id, 5).seq == 3


def test_a_translation_that_later_ones_have_overtaken_comes_after_them(
    numbers: CaptionNumberStore, dynamodb: Any, session_id: str
) -> None:
    give(numbers, session_id, 1)
    give(numbers, session_id, 3, is_late=True)
    assert give(numbers, session_id, 2).seq == 3
    assert item_of(dynamodb, session_id)["translated:es"] == {"N": "3"}
    assert give(numbers, session_id, 4).seq == 4


def test_a_repeated_translation_has_its_number(
    numbers: CaptionNumberStore, session_id: str
) -> None:
    give(numbers, session_id, 1)
    give(numbers, session_id, 2)
    for named in ({}, {"is_late": True}):
        again = give(numbers, session_id, 1, **named)
        assert (again.seq, again.is_new) == (1, False)


def test_a_failed_translation_lets_the_next_one_go_ahead(
    numbers: CaptionNumberStore, session_id: str
) -> None:
    give(numbers, session_id, 1)
    with pytest.raises(NotYet):
        numbers.skip_translated(session_id, "es", 3)
    numbers.skip_translated(session_id, "es", 2)
    assert give(numbers, session_id, 3).seq == 2
    numbers.skip_translated(session_id, "es", 2)
    assert give(numbers, session_id, 4).seq == 3


def test_a_failed_first_translation_lets_the_next_one_go_ahead(
    numbers: CaptionNumberStore, session_id: str
) -> None:
    numbers.skip_translated(session_id, "es", 1)
    assert give(numbers, session_id, 2).seq == 1


def test_each_language_has_an_order_of_its_own(
    numbers: CaptionNumberStore, session_id: str
) -> None:
    give(numbers, session_id, 1)
    assert numbers.give_translated(session_id, "fr", "phrase-7", 7).seq == 1
    assert give(numbers, session_id, 2).seq == 2


# Failures of the removal


def test_a_caption_has_its_number_even_if_obsolete_attributes_can_not_be_removed(
    dynamodb: Any, clock: Clock, session_id: str
) -> None:
    def refuse(operation: str, request: dict[str, Any]) -> None:
        if request.get("UpdateExpression", "").startswith("REMOVE"):
            raise Unreachable("x", was_sent=False)

    dynamodb.transport.on_request.append(refuse)
    most = KEPT_IDS + MOST_OBSOLETE + 5
    for number in range(1, most + 1):
        assert fresh(dynamodb, clock).give(session_id, "es", f"id-{number}").seq == number
    assert len(ids_of(dynamodb, session_id, "es")) == most


def test_an_expression_that_removes_many_attributes_has_at_most_4_kb(
    numbers: CaptionNumberStore, dynamodb: Any, session_id: str
) -> None:
    for tens in range(100):
        names = {f"#n{number}": f"id:es:{10 * tens + number:012}" for number in range(10)}
        dynamodb.update_item(
            TableName="sessions",
            Key={"sessionId": {"S": session_id}},
            UpdateExpression=f"SET #last = :last, {', '.join(f'{it} = :one' for it in names)}",
            ExpressionAttributeNames={"#last": "captions:es", **names},
            ExpressionAttributeValues={":last": {"N": "1000"}, ":one": {"N": "1"}},
            is_repeatable=True,
        )
    lengths: list[int] = []
    dynamodb.transport.on_request.append(
        lambda _, request: lengths.append(len(request.get("UpdateExpression", "")))
    )
    for number in range(1001, 1021):
        numbers.give(session_id, "es", f"id-{number}")
    # Source: "Constraints in Amazon DynamoDB" (4 KB for an expression).
    assert max(lengths) <= 4096
    assert len(ids_of(dynamodb, session_id, "es")) <= KEPT_IDS + MOST_OBSOLETE
