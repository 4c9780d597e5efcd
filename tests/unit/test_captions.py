"""The commands `sendCaption` and `getCaptions`, and what outcomes say of captions."""

import json
from collections.abc import Callable, Collection, Mapping
from threading import Event
from typing import Any

import pytest

from chalicelib import telemetry
from chalicelib.assembly import UseCases, build_dispatcher
from chalicelib.aws.connections import FanOut
from chalicelib.dispatch import Dispatcher
from chalicelib.models import Caption
from chalicelib.pipeline import Pipeline
from chalicelib.rate_limits import RateLimits
from chalicelib.store.stores import Stores, build_stores
from tests.unit.fakes import (
    TABLES,
    Clock,
    FakeConnections,
    FakeFunctions,
    FakeOutcomes,
    closing,
    frame,
    join,
    reply,
    scan,
    with_failing,
)

NOW_MS = 1_800_000_000_000
WAIT_SECONDS = 10

Send = Callable[..., dict[str, Any]]


def sender(dispatcher: Dispatcher) -> Send:
    def send(connection_id: str, user_id: str | None = None, **fields: Any) -> dict[str, Any]:
        return reply(dispatcher.message(frame(connection_id, user_id, **fields)))

    return send


@pytest.fixture
def send(dispatcher: Dispatcher) -> Send:
    """Return a function that sends a frame and returns its outcome."""
    return sender(dispatcher)


@pytest.fixture
def dispatcher_on(
    build: Callable[..., UseCases], rate_limits: RateLimits, outcomes: FakeOutcomes, clock: Clock
) -> Callable[..., Dispatcher]:
    """Return a function that builds a dispatcher. Named collaborators replace the defaults."""
    return lambda **named: build_dispatcher(
        build(**named), rate_limits, outcomes, "https://api/stage", clock
    )


@pytest.fixture
def say(send: Send) -> Send:
    """Return a function that sends a caption as the session's speaker."""
    return lambda text="Good morning.", **fields: send(
        "speaker=", "user-1", action="sendCaption", text=text, **fields
    )


@pytest.fixture
def get(send: Send) -> Callable[[int], dict[str, Any]]:
    """Return a function that asks as listener-0= for the captions after a number."""
    return lambda after_seq: send("listener-0=", action="getCaptions", afterSeq=after_seq)


@pytest.fixture
def attended_id(dispatcher: Dispatcher, session_id: str) -> str:
    """Return the ID of a session with the listeners listener-0= in en and listener-1= in es."""
    join(dispatcher, 0, session_id, "en")
    join(dispatcher, 1, session_id, "es")
    return session_id


def seqs(answer: dict[str, Any]) -> list[int]:
    return [each["seq"] for each in answer["items"]]


# Refusals


@pytest.mark.parametrize("user_id", [None, "user-1", "user-2"])
def test_a_connection_without_a_session_can_neither_send_nor_get_captions(
    send: Send, session_id: str, user_id: str | None
) -> None:
    code = "UNAUTHORIZED" if user_id is None else "SESSION_NOT_FOUND"
    assert send("other=", user_id, action="sendCaption", text="a")["code"] == code
    assert send("other=", user_id, action="getCaptions", afterSeq=0)["code"] == "SESSION_NOT_FOUND"


def test_a_listener_can_not_send_captions(send: Send, attended_id: str, dynamodb: Any) -> None:
    for user_id in (None, "user-1"):
        refused = send("listener-0=", user_id, action="sendCaption", text="a")
        assert refused["code"] == "FORBIDDEN"
    assert scan(dynamodb, "captions") == []


def test_a_speaker_can_not_get_captions(send: Send, attended_id: str) -> None:
    refused = send("speaker=", "user-1", action="getCaptions", afterSeq=0)
    assert refused["code"] == "FORBIDDEN"


def test_another_session_than_the_connections_own_is_refused(send: Send, attended_id: str) -> None:
    other = send("other=", "user-2", action="createSession", sourceLanguage="en")["sessionId"]
    for refused in (
        send("other=", "user-2", action="sendCaption", text="a", sessionId=attended_id),
        send("listener-0=", action="getCaptions", afterSeq=0, sessionId=other),
        send("unknown=", "user-2", action="sendCaption", text="a", sessionId=attended_id),
        send("unknown=", action="getCaptions", afterSeq=0, sessionId=attended_id),
    ):
        assert refused["code"] == "FORBIDDEN"
        assert refused["details"]["field"] == "sessionId"


def test_a_superseded_speaker_or_listener_is_not_in_the_session(
    send: Send, say: Send, get: Callable[..., Any], attended_id: str
) -> None:
    refresh = {"action": "refreshConnection", "sessionId": attended_id}
    send("new-speaker=", "user-1", role="speaker", **refresh)
    send("new=", role="listener", targetLanguage="en", connectionId="listener-0=", **refresh)
    assert say()["code"] == get(0)["code"] == "SESSION_NOT_FOUND"
    assert send("new-speaker=", "user-1", action="sendCaption", text="a")["seq"] == 1
    assert send("new=", action="getCaptions", afterSeq=0)["lastSeq"] == 1


def test_a_speaker_that_is_superseded_during_its_command_sends_nothing(
    dispatcher: Dispatcher, send: Send, say: Send, attended_id: str, dynamodb: Any
) -> None:
    refresh = {"action": "refreshConnection", "sessionId": attended_id, "role": "speaker"}

    def supersede(operation: str, request: dict[str, Any]) -> None:
        """Refresh between the read of the participant and the write of the number."""
        if operation == "UpdateItem" and "captionsUntil" in request["UpdateExpression"]:
            dynamodb.transport.on_request.clear()
            send("new=", "user-1", **refresh)

    dynamodb.transport.on_request.append(supersede)
    assert say()["code"] == "SESSION_NOT_FOUND"
    assert scan(dynamodb, "captions") == []


def end(send: Send, dispatcher: Dispatcher, clock: Clock) -> None:
    send("speaker=", "user-1", action="endSession")


def expire(send: Send, dispatcher: Dispatcher, clock: Clock) -> None:
    clock.now += 7200


def lose(send: Send, dispatcher: Dispatcher, clock: Clock) -> None:
    dispatcher.disconnect(closing("speaker=", 1006))
    clock.now += 60


@pytest.mark.parametrize("close", [end, expire, lose])
def test_a_session_that_is_over_accepts_and_returns_no_captions(
    send: Send,
    say: Send,
    get: Callable[..., Any],
    dispatcher: Dispatcher,
    attended_id: str,
    clock: Clock,
    close: Any,
) -> None:
    say()
    close(send, dispatcher, clock)
    assert say()["code"] == get(0)["code"] == "SESSION_NOT_FOUND"


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"text": None},
        {"text": ""},
        {"text": " "},
        {"text": "a" * 1001},
        {"text": "a\nb"},
        {"text": "\ud800"},
        {"text": "a", "captionId": ""},
        {"text": "a", "captionId": "x" * 129},
        {"text": "a", "captionId": "a\tb"},
    ],
)
def test_a_malformed_caption_is_refused(
    send: Send, attended_id: str, dynamodb: Any, fields: dict[str, Any]
) -> None:
    refused = send("speaker=", "user-1", action="sendCaption", **fields)
    assert refused["code"] == "INVALID_PARAMETERS"
    assert refused["details"]["field"] in ("text", "captionId")
    assert scan(dynamodb, "captions") == []


@pytest.mark.parametrize("fields", [{}, {"afterSeq": -1}, {"afterSeq": "1"}, {"afterSeq": 1.5}])
def test_a_malformed_number_is_refused(
    send: Send, attended_id: str, fields: dict[str, Any]
) -> None:
    refused = send("listener-0=", action="getCaptions", **fields)
    assert (refused["code"], refused["details"]) == ("INVALID_PARAMETERS", {"field": "afterSeq"})


def test_a_frame_of_33_kb_is_too_large(say: Send, attended_id: str) -> None:
    assert say("a" * 33 * 1024)["code"] == "MESSAGE_TOO_LARGE"


def test_a_speaker_that_sends_too_many_captions_waits_for_the_next_minute(
    say: Send, attended_id: str, clock: Clock, functions: FakeFunctions
) -> None:
    clock.now += 20
    assert [say()["seq"] for _ in range(60)] == list(range(1, 61))
    functions.events.clear()
    refused = say()
    assert (refused["code"], refused["retryAfter"]) == ("RATE_LIMIT_EXCEEDED", 40)
    assert refused["temporary"] is True
    assert functions.events == []
    clock.now += refused["retryAfter"]
    assert say()["seq"] == 61


@pytest.mark.parametrize(
    "method", ["participants.find_present", "caption_numbers.give_spoken", "listeners.list_ids"]
)
def test_a_caption_during_an_outage_can_be_sent_again(
    dispatcher_on: Callable[..., Dispatcher],
    stores: Stores,
    say: Send,
    get: Callable[..., Any],
    attended_id: str,
    method: str,
) -> None:
    broken = sender(dispatcher_on(stores=with_failing(stores, method)))
    phrase = {"action": "sendCaption", "text": "a", "captionId": "phrase-1"}
    refused = broken("speaker=", "user-1", **phrase)
    assert (refused["code"], refused["retryAfter"]) == ("SERVICE_UNAVAILABLE", 2)
    assert say("a", captionId="phrase-1")["seq"] == 1
    assert seqs(get(0)) == [1]


@pytest.mark.parametrize(
    "method", ["participants.find_present", "sessions.find_open", "captions.list_after"]
)
def test_captions_can_not_be_had_during_an_outage(
    dispatcher_on: Callable[..., Dispatcher],
    stores: Stores,
    say: Send,
    attended_id: str,
    method: str,
) -> None:
    say()
    # A failing store has no attributes of its own.
    stores.captions.kept_seconds = 600
    broken = sender(dispatcher_on(stores=with_failing(stores, method)))
    refused = broken("listener-0=", action="getCaptions", afterSeq=0)
    assert (refused["code"], refused["retryAfter"]) == ("SERVICE_UNAVAILABLE", 2)


# sendCaption


def test_a_caption_is_accepted_delivered_and_handed_to_the_pipeline(
    say: Send,
    attended_id: str,
    phones: FakeConnections,
    functions: FakeFunctions,
    clock: Clock,
) -> None:
    clock.now += 5
    text = "<b>Good</b> \u202emorning\u202c & more"
    assert say(text, captionId="phrase-1", requestId="r1") == {
        "type": "captionAccepted",
        "sessionId": attended_id,
        "captionId": "phrase-1",
        "seq": 1,
        "timestamp": NOW_MS + 5000,
        "requestId": "r1",
    }
    assert phones.inbox["listener-0="] == [
        {
            "type": "caption",
            "sessionId": attended_id,
            "language": "en",
            "seq": 1,
            "captionId": "phrase-1",
            "text": text,
            "startedAt": NOW_MS + 5000,
            "timestamp": NOW_MS + 5000,
        }
    ]
    assert "listener-1=" not in phones.inbox
    assert "speaker=" not in phones.inbox
    (event,) = [each for each in functions.events if each["type"] == "captionSpoken"]
    assert event == {
        "version": 1,
        "type": "captionSpoken",
        "sessionId": attended_id,
        "timestamp": NOW_MS + 5000,
        "language": "en",
        "captionId": "phrase-1",
        "text": text,
        "startedAt": NOW_MS + 5000,
        "languages": ["es"],
        "seq": 1,
    }


def test_a_caption_without_an_id_gets_one(
    say: Send, attended_id: str, phones: FakeConnections
) -> None:
    first, second = say(), say()
    assert first["captionId"] != second["captionId"]
    assert (first["seq"], second["seq"]) == (1, 2)
    heard = [each["captionId"] for each in phones.inbox["listener-0="]]
    assert heard == [first["captionId"], second["captionId"]]


def test_a_repeated_caption_is_answered_alike_and_delivered_once(
    say: Send, attended_id: str, phones: FakeConnections, functions: FakeFunctions
) -> None:
    answers = [say("a", captionId="phrase-1") for _ in range(3)]
    assert [each["seq"] for each in answers] == [1, 1, 1]
    assert len(phones.inbox["listener-0="]) == 1
    # The pipeline is notified again, because the first event may have stopped before it.
    assert [each["seq"] for each in functions.events if each["type"] == "captionSpoken"] == [
        1,
        1,
        1,
    ]


def test_a_speaker_that_repeats_a_caption_too_often_does_not_reach_the_pipeline(
    say: Send, attended_id: str, functions: FakeFunctions
) -> None:
    answers = [say(f"text {number}", captionId="phrase-1") for number in range(62)]
    assert [each.get("seq") for each in answers] == [1] * 61 + [None]
    assert answers[-1]["code"] == "RATE_LIMIT_EXCEEDED"
    assert len([each for each in functions.events if each["type"] == "captionSpoken"]) == 61


@pytest.mark.parametrize(
    ("command", "event_type"),
    [
        ({"action": "sendCaption", "text": "a"}, "captionSpoken"),
        ({"action": "pauseSession"}, "sessionPaused"),
        ({"action": "endSession"}, "sessionEnded"),
    ],
    ids=lambda it: it if isinstance(it, str) else "",
)
def test_posts_do_not_wait_for_the_pipeline(
    dispatcher_on: Callable[..., Dispatcher],
    attended_id: str,
    clock: Clock,
    command: dict[str, str],
    event_type: str,
) -> None:
    are_posted = Event()
    waited: list[bool] = []

    class Phones(FakeConnections):
        def fan_out(
            self, connection_ids: Collection[str], text: str, limit_seconds: float = 10
        ) -> FanOut:
            result = super().fan_out(connection_ids, text, limit_seconds)
            are_posted.set()
            return result

    class SlowFunctions(FakeFunctions):
        def invoke_later(self, _function_name: str, event: Mapping[str, Any]) -> None:
            if event["type"] == event_type:
                waited.append(are_posted.wait(WAIT_SECONDS))

    functions: Any = SlowFunctions()
    pipeline = Pipeline(functions, "interpreter", clock)
    send = sender(dispatcher_on(connections=Phones(), pipeline=pipeline))
    assert send("speaker=", "user-1", **command)["type"] != "error"
    assert waited == [True]


def test_an_unexpected_error_of_the_pipeline_is_not_hidden(
    dispatcher_on: Callable[..., Dispatcher],
    attended_id: str,
    phones: FakeConnections,
    clock: Clock,
) -> None:
    class BrokenFunctions(FakeFunctions):
        def invoke_later(self, _function_name: str, event: Mapping[str, Any]) -> None:
            raise KeyError(event["type"])

    functions: Any = BrokenFunctions()
    send = sender(dispatcher_on(pipeline=Pipeline(functions, "interpreter", clock)))
    assert send("speaker=", "user-1", action="sendCaption", text="a")["code"] == "INTERNAL_ERROR"
    assert len(phones.inbox["listener-0="]) == 1


@pytest.mark.parametrize("state", ["paused", "interrupted"])
def test_a_caption_is_published_in_a_pause_and_during_an_interruption(
    use_cases: UseCases, send: Send, dispatcher: Dispatcher, attended_id: str, state: str
) -> None:
    if state == "paused":
        send("speaker=", "user-1", action="pauseSession")
    else:
        dispatcher.disconnect(closing("speaker=", 1006))
    published = use_cases.publishing.publish(attended_id, "es", [Caption("a", "a", 0)])
    assert (published.seqs, published.reached) == ([1], 1)


def test_a_caption_that_is_accepted_resets_the_refused_commands(
    say: Send, get: Callable[..., Any], send: Send, attended_id: str, outcomes: FakeOutcomes
) -> None:
    for _ in range(15):
        send("speaker=", "user-1", action="fly")
        send("listener-0=", action="fly")
    say()
    get(0)
    for _ in range(15):
        send("speaker=", "user-1", action="fly")
        send("listener-0=", action="fly")
    assert outcomes.closing == []


# getCaptions


def test_a_listener_gets_the_captions_that_it_has_missed_in_order(
    say: Send, get: Callable[..., Any], attended_id: str, clock: Clock, dynamodb: Any
) -> None:
    for number in range(1, 5):
        say(f"phrase {number}", captionId=f"phrase-{number}")
    clock.now += 1
    dynamodb.transport.requests.clear()
    answer = get(2)
    (query,) = [it for operation, it in dynamodb.transport.requests if operation == "Query"]
    assert query["ConsistentRead"] is True
    assert answer == {
        "type": "captions",
        "targetLanguage": "en",
        "items": [
            {
                "type": "caption",
                "sessionId": attended_id,
                "language": "en",
                "seq": seq,
                "captionId": f"phrase-{seq}",
                "text": f"phrase {seq}",
                "startedAt": NOW_MS,
            }
            for seq in (3, 4)
        ],
        "lastSeq": 4,
        "missed": 0,
        "hasMore": False,
        "timestamp": NOW_MS + 1000,
    }


def test_the_captions_of_a_pipeline_keep_their_audio_and_duration(
    use_cases: UseCases, send: Send, attended_id: str
) -> None:
    from chalicelib.models import Audio

    use_cases.publishing.publish(
        attended_id,
        "es",
        [
            Caption("a", "uno", 1, 900, Audio(url="https://media.example/1.mp3")),
            Caption("b", "dos", 2, None, Audio(None, "AAAA", "audio/mpeg")),
            Caption("c", "tres", 3),
        ],
    )
    items = send("listener-1=", action="getCaptions", afterSeq=0)["items"]
    assert [each.get("audio") for each in items] == [
        {"url": "https://media.example/1.mp3"},
        {"data": "AAAA", "contentType": "audio/mpeg"},
        None,
    ]
    assert [each.get("durationMs") for each in items] == [900, None, None]


@pytest.mark.parametrize("after_seq", [2, 3, 2**53 - 1])
def test_a_listener_that_has_missed_nothing_gets_nothing(
    say: Send, get: Callable[..., Any], attended_id: str, after_seq: int
) -> None:
    say()
    say()
    answer = get(after_seq)
    assert (answer["items"], answer["missed"], answer["lastSeq"]) == ([], 0, 2)
    assert answer["hasMore"] is False


def test_expired_captions_are_missed_even_before_dynamodb_deletes_them(
    say: Send,
    get: Callable[..., Any],
    send: Send,
    attended_id: str,
    clock: Clock,
    dynamodb: Any,
    capsys: pytest.CaptureFixture[str],
) -> None:
    say()
    say()
    for _ in range(10):
        clock.now += 60.5
        send("speaker=", "user-1", action="heartbeat")
        send("listener-0=", action="heartbeat")
    say()
    assert len(scan(dynamodb, "captions")) == 3
    telemetry.configure("INFO", "dev", b"key")
    answer = get(0)
    assert (seqs(answer), answer["missed"], answer["lastSeq"]) == ([3], 2, 3)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["CaptionsMissed"] for line in lines if "CaptionsMissed" in line] == [2]


def test_a_stage_that_keeps_no_captions_counts_them_as_missed(
    dispatcher_on: Callable[..., Dispatcher],
    dynamodb: Any,
    clock: Clock,
    attended_id: str,
) -> None:
    send = sender(dispatcher_on(stores=build_stores(dynamodb, TABLES, 0, clock)))
    for _ in range(3):
        send("speaker=", "user-1", action="sendCaption", text="a")
    dynamodb.transport.requests.clear()
    answer = send("listener-0=", action="getCaptions", afterSeq=1)
    assert (answer["items"], answer["missed"], answer["lastSeq"]) == ([], 2, 3)
    assert [operation for operation, _ in dynamodb.transport.requests] == ["GetItem"] * 2
    assert scan(dynamodb, "captions") == []


def test_the_caption_that_is_being_stored_is_left_to_a_later_answer(
    say: Send, get: Callable[..., Any], stores: Stores, attended_id: str, clock: Clock
) -> None:
    say()
    numbered = stores.caption_numbers.give(attended_id, "en", "phrase-2")
    answer = get(0)
    assert (seqs(answer), answer["lastSeq"], answer["hasMore"]) == ([1], 1, False)
    stores.captions.put(attended_id, "en", numbered.seq, Caption("phrase-2", "b", 0))
    assert seqs(get(1)) == [2]


def test_a_caption_whose_event_stopped_is_missed_after_ten_seconds(
    get: Callable[..., Any], stores: Stores, attended_id: str, clock: Clock
) -> None:
    stores.caption_numbers.give(attended_id, "en", "phrase-1")
    clock.now += 10
    assert get(0)["lastSeq"] == 0
    clock.now += 0.4
    answer = get(0)
    assert (answer["items"], answer["missed"], answer["lastSeq"]) == ([], 1, 1)


def test_captions_of_more_than_a_message_come_in_parts(
    use_cases: UseCases, send: Send, attended_id: str
) -> None:
    publishing = use_cases.publishing
    for number in range(1, 31):
        publishing.publish(attended_id, "es", [Caption(f"phrase-{number}", "\u00e9" * 1000, 0)])
    after_seq, received, answers = 0, [], 0
    while True:
        answer = send("listener-1=", action="getCaptions", afterSeq=after_seq, requestId="r" * 64)
        assert len(json.dumps(answer, separators=(",", ":"))) <= 32 * 1024
        assert answer["missed"] == 0
        received += seqs(answer)
        after_seq = answer["lastSeq"]
        answers += 1
        if not answer["hasMore"]:
            break
    assert received == list(range(1, 31))
    assert answers > 2


def test_an_answer_reads_little_more_than_it_returns(
    use_cases: UseCases, get: Callable[..., Any], attended_id: str, dynamodb: Any
) -> None:
    from chalicelib.models import Audio

    audio = Audio(None, "A" * 20_000, "audio/mpeg")
    for number in range(1, 41):
        caption = Caption(f"phrase-{number}", "uno", 0, 900, audio)
        use_cases.publishing.publish(attended_id, "en", [caption])
    read: list[int] = []

    def measure(operation: str, answer: dict[str, Any]) -> None:
        if operation == "Query":
            read.append(len(json.dumps(answer)))

    dynamodb.transport.on_answer.append(measure)
    answer = get(0)
    assert (seqs(answer), answer["hasMore"]) == ([1], True)
    # Anyone can repeat the request, and DynamoDB reads 3,000 units of 4 KB a second here at most.
    assert sum(read) < 100_000


@pytest.mark.parametrize(("count", "reads"), [(3, 1), (4, 1), (5, 2), (200, 6)])
def test_all_captions_are_read_in_a_few_requests(
    use_cases: UseCases,
    get: Callable[..., Any],
    attended_id: str,
    dynamodb: Any,
    count: int,
    reads: int,
) -> None:
    for number in range(1, count + 1):
        use_cases.publishing.publish(attended_id, "en", [Caption(f"phrase-{number}", "a", 0)])
    dynamodb.transport.requests.clear()
    answer = get(0)
    assert seqs(answer) == list(range(1, count + 1))
    queries = [each for each, _ in dynamodb.transport.requests if each == "Query"]
    assert len(queries) == reads


def test_captions_of_an_earlier_session_with_the_same_id_are_not_returned(
    stores: Stores, get: Callable[..., Any], say: Send, attended_id: str, clock: Clock
) -> None:
    clock.now -= 100
    stores.captions.put(attended_id, "en", 1, Caption("earlier", "earlier", 0))
    clock.now += 100
    say()
    clock.now += 11
    answer = get(0)
    assert (answer["items"], answer["missed"], answer["lastSeq"]) == ([], 1, 1)


# What outcomes say


def test_a_join_and_a_change_of_language_say_which_captions_are_over(
    say: Send, use_cases: UseCases, send: Send, attended_id: str
) -> None:
    say()
    say()
    use_cases.publishing.publish(attended_id, "sw", [Caption("a", "a", 0)])
    joining = {"action": "joinSession", "sessionId": attended_id}
    joined = send("new=", **joining, targetLanguage="en-GB")
    assert (joined["lastSeq"], joined["hasVoice"]) == (2, True)
    changing = {"action": "changeLanguage"}
    for language, expected in (("en", (2, True)), ("sw", (1, False)), ("fr", (0, True))):
        for _ in range(2):
            changed = send("listener-1=", **changing, targetLanguage=language)
            assert changed["targetLanguage"] == language
            assert (changed["lastSeq"], changed["hasVoice"]) == expected


@pytest.mark.parametrize("returning", ["refresh", "refresh again", "after a drop", "as a join"])
def test_a_refresh_says_which_captions_were_missed(
    say: Send, send: Send, dispatcher: Dispatcher, attended_id: str, returning: str
) -> None:
    say()
    if returning == "after a drop":
        dispatcher.disconnect(closing("listener-0=", 1006))
    say()
    refresh = {
        "action": "refreshConnection",
        "sessionId": attended_id,
        "role": "listener",
        "targetLanguage": "en",
        "connectionId": "never-was=" if returning == "as a join" else "listener-0=",
    }
    refreshed = send("new=", **refresh)
    if returning == "refresh again":
        say()
        refreshed = send("new=", **refresh)
    last_seq = 3 if returning == "refresh again" else 2
    assert refreshed["type"] == "connectionRefreshComplete"
    assert (refreshed["lastSeq"], refreshed["hasVoice"]) == (last_seq, True)
    assert seqs(send("new=", action="getCaptions", afterSeq=1)) == list(range(2, last_seq + 1))


def test_a_refresh_in_another_language_says_its_last_number(
    say: Send, send: Send, attended_id: str
) -> None:
    say()
    refreshed = send(
        "new=",
        action="refreshConnection",
        sessionId=attended_id,
        role="listener",
        targetLanguage="en",
        connectionId="listener-1=",
    )
    assert (refreshed["targetLanguage"], refreshed["lastSeq"]) == ("en", 1)
