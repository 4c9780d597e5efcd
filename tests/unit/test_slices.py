"""Fan-outs to more receivers than one invocation posts to."""

import json
import threading
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from chalicelib import telemetry, wiring
from chalicelib.assembly import UseCases
from chalicelib.aws.connections import FanOut, sum_up
from chalicelib.aws.functions import Functions
from chalicelib.aws.wire import Answer, Unreachable
from chalicelib.commands import EndSession, PauseSession
from chalicelib.ending import END_SECONDS
from chalicelib.errors import ServiceUnavailable
from chalicelib.fields import MAX_MESSAGE_BYTES
from chalicelib.models import IN_FLIGHT_SECONDS, Caller, Caption, Participant, Role
from chalicelib.notices import Notices
from chalicelib.slices import SLICE_RECEIVERS, Slice, Slices, is_slice
from chalicelib.store.listeners import TRANSACTION_ITEMS
from chalicelib.store.stores import Stores
from chalicelib.sweep import Sweep
from tests.unit.fakes import Clock, FakeConnections, scan, types

URL = "https://api/stage"
TEXT = '{"type": "sessionPaused"}'
LAMBDA_BYTES = 256 * 1024
"""The smallest limit of an asynchronous event that Lambda has had."""


@dataclass
class Queue:
    """Lambda as a transport: it keeps the events that it accepts.

    Attributes:
        refused: The numbers of the requests, from 0, that it refuses.
        unanswered: The numbers of the requests that it accepts without an answer.
    """

    refused: Collection[int] = ()
    unanswered: Collection[int] = ()
    events: list[dict[str, Any]] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _firsts: list[str] = field(default_factory=list)

    def request(
        self,
        _method: str,
        _path: str,
        body: bytes = b"",
        _headers: Mapping[str, str] | None = None,
        *,
        is_idempotent: bool | None = None,
    ) -> Answer:
        assert len(body) < LAMBDA_BYTES
        event = json.loads(body)
        with self._lock:
            if event["id"] not in self._firsts:
                self._firsts.append(event["id"])
            number = self._firsts.index(event["id"])
            if number in self.refused:
                return Answer(429, b"", {})
            self.events.append(event)
        if number in self.unanswered:
            raise Unreachable("late", was_sent=True)
        return Answer(202, b"", {})

    def take(self) -> list[Slice]:
        """Return and forget the accepted slices."""
        taken, self.events = self.events, []
        return [Slice.from_event(each) for each in taken]


@pytest.fixture
def queue() -> Queue:
    return Queue()


@pytest.fixture
def slices(queue: Queue) -> Slices:
    return Slices(Functions(queue), "outcome", URL)


@pytest.fixture
def service(build: Callable[..., UseCases], slices: Slices) -> UseCases:
    """Return use cases that split large fan-outs."""
    return build(slices=slices)


@pytest.fixture
def notices(notices_of: Callable[..., Notices], slices: Slices) -> Notices:
    return notices_of(slices=slices)


def receivers(count: int) -> list[str]:
    return [f"{number:05}=" for number in range(count)]


def admit(stores: Stores, session_id: str, count: int, clock: Clock) -> list[str]:
    """Store listeners, whose connections have been open for a while."""
    ids = receivers(count)
    joined_at_ms = int((clock() - IN_FLIGHT_SECONDS) * 1000)
    for each in ids:
        stores.participants.put(Participant(each, session_id, Role.LISTENER, joined_at_ms, "es"))
    return ids


def received(phones: FakeConnections) -> dict[str, list[str]]:
    return {to: types(notices) for to, notices in phones.inbox.items()}


# A slice that fails, is late or is delivered again


def test_a_slice_that_is_delivered_twice_is_posted_once(
    notices: Notices, service: UseCases, session_id: str, queue: Queue, phones: FakeConnections
) -> None:
    notices.fan_out(session_id, receivers(2500), TEXT, 2)
    for part in queue.take() * 2:
        service.slice_deliveries.deliver(part)
    assert received(phones) == {each: ["sessionPaused"] for each in receivers(2500)}


def test_a_slice_after_its_time_posts_nothing_and_counts_its_receivers_as_failed(
    notices: Notices,
    service: UseCases,
    session_id: str,
    queue: Queue,
    phones: FakeConnections,
    clock: Clock,
    capsys: pytest.CaptureFixture[str],
) -> None:
    notices.fan_out(session_id, receivers(1500), TEXT, 2)
    phones.inbox.clear()
    clock.now += 2.1
    telemetry.configure("INFO")
    for part in queue.take() * 2:
        service.slice_deliveries.deliver(part)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert phones.inbox == {}
    assert [line["failed"] for line in lines if line.get("message") == "fan-out done"] == [500]


def test_a_slice_after_the_end_of_its_session_posts_nothing(
    service: UseCases,
    notices: Notices,
    session_id: str,
    queue: Queue,
    phones: FakeConnections,
    speaker: Caller,
) -> None:
    notices.fan_out(session_id, receivers(1500), TEXT, 2)
    service.sessions.end(speaker, EndSession(None))
    phones.inbox.clear()
    for part in queue.take():
        service.slice_deliveries.deliver(part)
    assert phones.inbox == {}


def test_a_refused_slice_is_posted_by_the_event_itself(
    notices: Notices, session_id: str, queue: Queue, phones: FakeConnections
) -> None:
    queue.refused = {0, 2}
    result = notices.fan_out(session_id, receivers(4000), TEXT, 2)
    assert result.reached == len(phones.inbox) == 3000
    (accepted,) = queue.take()
    assert phones.inbox.keys() | set(accepted.connection_ids) == set(receivers(4000))


@pytest.mark.parametrize("order", ["refusal first", "slice first"])
def test_a_slice_whose_request_is_not_answered_is_posted_once(
    notices: Notices,
    service: UseCases,
    session_id: str,
    queue: Queue,
    phones: FakeConnections,
    order: str,
) -> None:
    queue.unanswered = {0}

    class Sooner(FakeConnections):
        """Posts the first slice while the other invocation posts the second."""

        def fan_out(self, connection_ids: Any, text: str, limit_seconds: float = 10) -> FanOut:
            if order == "slice first":
                for part in queue.take():
                    service.slice_deliveries.deliver(part)
            return phones.fan_out(connection_ids, text, limit_seconds)

    notices._connections = Sooner()
    notices.fan_out(session_id, receivers(2000), TEXT, 2)
    for part in queue.take():
        service.slice_deliveries.deliver(part)
    assert received(phones) == {each: ["sessionPaused"] for each in receivers(2000)}


def test_a_refused_slice_is_left_out_if_there_is_no_time_for_it(
    notices: Notices, session_id: str, queue: Queue, phones: FakeConnections, clock: Clock
) -> None:
    queue.refused = {0}

    class Slow(FakeConnections):
        def fan_out(self, connection_ids: Any, text: str, limit_seconds: float = 10) -> FanOut:
            clock.now += limit_seconds
            return phones.fan_out(connection_ids, text, limit_seconds)

    notices._connections = Slow()
    assert notices.fan_out(session_id, receivers(2000), TEXT, 2).reached == 1000
    assert len(phones.inbox) == 1000


def test_a_slice_removes_its_listeners_whose_connections_are_gone(
    notices: Notices,
    service: UseCases,
    session_id: str,
    queue: Queue,
    phones: FakeConnections,
    stores: Stores,
    clock: Clock,
) -> None:
    ids = admit(stores, session_id, 1010, clock)
    phones.closed = set(ids[1000:])
    notices.fan_out(session_id, ids, TEXT, 2)
    for part in queue.take():
        service.slice_deliveries.deliver(part)
    assert sorted(stores.listeners.list_ids(session_id)) == ids[:1000]


def test_an_error_of_the_client_leaves_the_slice_to_the_event(
    notices: Notices, session_id: str, queue: Queue, capfd: pytest.CaptureFixture[str]
) -> None:
    def fail(*_arguments: object, **_named: object) -> Answer:
        raise RuntimeError("marked")

    queue.request = fail  # type: ignore[method-assign]
    telemetry.configure("DEBUG")
    assert notices.fan_out(session_id, receivers(1001), TEXT, 2).reached == 1001
    captured = capfd.readouterr()
    assert "marked" not in captured.out + captured.err


def test_a_request_that_hangs_does_not_delay_the_posts_of_the_event_itself(
    notices: Notices, session_id: str, queue: Queue, phones: FakeConnections
) -> None:
    is_posted = threading.Event()
    accept = queue.request

    def answer_after_the_posts(*arguments: Any, **named: Any) -> Answer:
        assert is_posted.wait(20)
        return accept(*arguments, **named)

    class Noticed(FakeConnections):
        def fan_out(self, connection_ids: Any, text: str, limit_seconds: float = 10) -> FanOut:
            result = phones.fan_out(connection_ids, text, limit_seconds)
            is_posted.set()
            return result

    queue.request = answer_after_the_posts  # type: ignore[method-assign]
    notices._connections = Noticed()
    assert notices.fan_out(session_id, receivers(1500), TEXT, 2).reached == 1000
    assert len(queue.events) == 1


# Sizes


@pytest.mark.parametrize(
    ("count", "sizes"), [(0, []), (1, []), (1000, []), (1001, [1]), (10_000, [1000] * 9)]
)
def test_a_fan_out_is_split_beyond_a_slice_and_every_receiver_gets_it_once(
    notices: Notices,
    service: UseCases,
    session_id: str,
    queue: Queue,
    phones: FakeConnections,
    count: int,
    sizes: list[int],
) -> None:
    result = notices.fan_out(session_id, receivers(count), TEXT, 2)
    assert result.reached == len(phones.inbox) == min(count, SLICE_RECEIVERS)
    parts = queue.take()
    assert [len(part.connection_ids) for part in parts] == sizes
    for part in parts:
        service.slice_deliveries.deliver(part)
    assert received(phones) == {each: ["sessionPaused"] for each in receivers(count)}


def test_a_receiver_that_is_listed_twice_gets_one_post(
    notices: Notices, service: UseCases, session_id: str, queue: Queue, phones: FakeConnections
) -> None:
    notices.fan_out(session_id, [*receivers(1500), *receivers(10)], TEXT, 2)
    for part in queue.take():
        service.slice_deliveries.deliver(part)
    assert Counter(map(len, phones.inbox.values())) == {1: 1500}


@pytest.mark.parametrize("character", ["x", '"', "\\", "é", "語", "😀"])
def test_the_event_of_a_full_slice_fits_into_lambdas_limit(
    slices: Slices, queue: Queue, character: str
) -> None:
    text = character * (MAX_MESSAGE_BYTES // len(character.encode()))
    ids = [f"L0SM9cOFvHcCIh{number:05}=" for number in range(1000)]
    assert slices.send(slices.cut("golden-eagle-427", ids, text, 2)).find_refused() == []
    (part,) = queue.take()
    assert (part.text, part.connection_ids) == (text, ids)


def test_a_fan_out_reaches_the_listeners_on_all_pages_of_the_index(
    service: UseCases,
    session_id: str,
    stores: Stores,
    queue: Queue,
    phones: FakeConnections,
    speaker: Caller,
    clock: Clock,
    dynamodb: Any,
) -> None:
    ids = admit(stores, session_id, 1250, clock)
    pages: list[int] = []
    request = dynamodb._request

    def answer_with_short_pages(operation: str, parameters: Any, **named: Any) -> Any:
        if operation != "Query":
            return request(operation, parameters, **named)
        page = request(operation, {**parameters, "Limit": 500}, **named)
        pages.append(len(page["Items"]))
        return page

    dynamodb._request = answer_with_short_pages
    service.sessions.pause(speaker, PauseSession(None))
    for part in queue.take():
        service.slice_deliveries.deliver(part)
    assert pages == [500, 500, 250]
    assert received(phones) == {each: ["sessionPaused"] for each in ids}


# Notices


def test_a_pause_reaches_every_listener_with_the_time_before_it(
    service: UseCases,
    session_id: str,
    stores: Stores,
    queue: Queue,
    phones: FakeConnections,
    speaker: Caller,
    clock: Clock,
) -> None:
    ids = admit(stores, session_id, 1500, clock)
    paused_at_ms = int(clock() * 1000)
    service.sessions.pause(speaker, PauseSession(None))
    clock.now += 0.5
    for part in queue.take():
        service.slice_deliveries.deliver(part)
    assert received(phones) == {each: ["sessionPaused"] for each in ids}
    assert {notice["timestamp"] for (notice,) in phones.inbox.values()} == {paused_at_ms}


# Captions


@pytest.fixture
def captioned(
    service: UseCases, session_id: str, stores: Stores, clock: Clock, queue: Queue
) -> Slice:
    """Return the second slice of a caption that has just been published to 1,500 listeners."""
    admit(stores, session_id, 1500, clock)
    service.publishing.publish(session_id, "es", [Caption("1", "hola", int(clock() * 1000))])
    (part,) = queue.take()
    return part


@pytest.mark.parametrize(
    ("command", "notice"), [("pause", "sessionPaused"), ("end", "sessionEnded")]
)
def test_a_slice_of_a_caption_that_comes_after_a_pause_or_an_end_posts_nothing(
    captioned: Slice,
    service: UseCases,
    queue: Queue,
    phones: FakeConnections,
    speaker: Caller,
    clock: Clock,
    command: str,
    notice: str,
) -> None:
    calls = {"pause": PauseSession(None), "end": EndSession(None)}
    getattr(service.sessions, command)(speaker, calls[command])
    clock.now += 0.001
    for part in [*queue.take(), captioned]:
        service.slice_deliveries.deliver(part)
    late = set(captioned.connection_ids)
    assert received(phones) == {
        each: [notice] if each in late else ["caption", notice] for each in receivers(1500)
    }


@pytest.mark.parametrize(
    ("command", "notice"), [("pause", "sessionPaused"), ("end", "sessionEnded")]
)
def test_a_pause_or_an_end_waits_for_the_slices_of_a_caption(
    captioned: Slice,
    service: UseCases,
    build: Callable[..., UseCases],
    slices: Slices,
    queue: Queue,
    phones: FakeConnections,
    speaker: Caller,
    clock: Clock,
    command: str,
    notice: str,
) -> None:
    def deliver_while_it_waits(seconds: float) -> None:
        clock.now += seconds / 2
        service.slice_deliveries.deliver(captioned)
        clock.now += seconds / 2

    waiting = build(slices=slices, sleep=deliver_while_it_waits)
    calls = {"pause": PauseSession(None), "end": EndSession(None)}
    getattr(waiting.sessions, command)(speaker, calls[command])
    for part in queue.take():
        service.slice_deliveries.deliver(part)
    expected = ["caption", notice]
    assert received(phones) == dict.fromkeys(receivers(1500), expected)


def test_a_sweep_that_continues_an_end_waits_for_the_slices_of_a_caption(
    captioned: Slice,
    service: UseCases,
    build: Callable[..., UseCases],
    phones: FakeConnections,
    speaker: Caller,
    sweep: Sweep,
) -> None:
    def let_the_sweep_come_first(_seconds: float) -> None:
        sweep.run()

    build(sleep=let_the_sweep_come_first).sessions.end(speaker, EndSession(None))
    service.slice_deliveries.deliver(captioned)
    assert {types(notices)[-1] for notices in phones.inbox.values()} == {"sessionEnded"}


# Ends


def end_once(ids: Collection[str]) -> dict[str, list[str]]:
    return {each: ["sessionEnded"] for each in ids}


@pytest.mark.parametrize("deliveries", [1, 2])
def test_an_end_of_2500_listeners_notifies_each_of_them_once(
    service: UseCases,
    session_id: str,
    stores: Stores,
    queue: Queue,
    phones: FakeConnections,
    speaker: Caller,
    clock: Clock,
    sweep: Sweep,
    dynamodb: Any,
    deliveries: int,
) -> None:
    ids = admit(stores, session_id, 2500, clock)
    service.sessions.end(speaker, EndSession(None))
    assert received(phones) == end_once(ids[:1000])
    parts = queue.take()
    assert [len(part.connection_ids) for part in parts] == [1000, 500]
    for part in parts * deliveries:
        service.slice_deliveries.deliver(part)
    assert received(phones) == end_once(ids)
    clock.now += IN_FLIGHT_SECONDS
    sweep.run()
    assert received(phones) == end_once(ids)
    assert scan(dynamodb, "sessions") == scan(dynamodb, "connections") == []


@pytest.mark.parametrize("delivered", [0, 1])
def test_the_sweep_notifies_the_listeners_of_a_slice_that_is_lost(
    service: UseCases,
    session_id: str,
    stores: Stores,
    queue: Queue,
    phones: FakeConnections,
    speaker: Caller,
    clock: Clock,
    sweep_of: Callable[..., Sweep],
    slices: Slices,
    dynamodb: Any,
    delivered: int,
) -> None:
    ids = admit(stores, session_id, 2500, clock)
    service.sessions.end(speaker, EndSession(None))
    lost = queue.take()
    for part in lost[:delivered]:
        service.slice_deliveries.deliver(part)
    clock.now += END_SECONDS + 40
    sweep_of(slices=slices).run()
    for part in queue.take() + lost:
        service.slice_deliveries.deliver(part)
    assert received(phones) == end_once(ids)
    clock.now += 60
    sweep_of(slices=slices).run()
    assert scan(dynamodb, "sessions") == scan(dynamodb, "connections") == []


def test_a_crash_within_a_slice_of_an_end_leaves_the_rest_to_the_sweep(
    build: Callable[..., UseCases],
    service: UseCases,
    session_id: str,
    stores: Stores,
    queue: Queue,
    phones: FakeConnections,
    speaker: Caller,
    clock: Clock,
    sweep: Sweep,
) -> None:
    ids = admit(stores, session_id, 2000, clock)
    service.sessions.end(speaker, EndSession(None))
    batches: list[int] = []
    remove = stores.listeners.remove

    def throttle(session_id: str, connection_ids: Collection[str]) -> set[str]:
        batches.append(len(connection_ids))
        if len(batches) > 3:
            raise ServiceUnavailable("busy", retry_after_seconds=2)
        return remove(session_id, connection_ids)

    stores.listeners.remove = throttle  # type: ignore[method-assign]
    (part,) = queue.take()
    with pytest.raises(ServiceUnavailable):
        build().slice_deliveries.deliver(part)
    assert len(phones.inbox) == 1000 + 3 * TRANSACTION_ITEMS
    stores.listeners.remove = remove  # type: ignore[method-assign]
    clock.now += 60
    sweep.run()
    assert received(phones) == end_once(ids)


def test_a_refused_slice_of_an_end_is_dismissed_by_the_event_itself(
    service: UseCases,
    session_id: str,
    stores: Stores,
    queue: Queue,
    phones: FakeConnections,
    speaker: Caller,
    clock: Clock,
) -> None:
    ids = admit(stores, session_id, 1200, clock)
    queue.refused = {0}
    service.sessions.end(speaker, EndSession(None))
    assert queue.events == []
    assert received(phones) == end_once(ids)


def test_listeners_of_a_slice_that_are_not_reached_are_notified_by_the_sweep(
    service: UseCases,
    session_id: str,
    stores: Stores,
    queue: Queue,
    phones: FakeConnections,
    speaker: Caller,
    clock: Clock,
    sweep: Sweep,
) -> None:
    ids = admit(stores, session_id, 1100, clock)
    phones.throttled = set(ids[1050:])
    service.sessions.end(speaker, EndSession(None))
    (part,) = queue.take()
    service.slice_deliveries.deliver(part)
    assert received(phones) == end_once(ids[:1050])
    phones.throttled.clear()
    clock.now += 60
    sweep.run()
    assert received(phones) == end_once(ids)


def test_a_speakers_connection_among_many_listeners_gets_no_second_notice(
    service: UseCases,
    session_id: str,
    stores: Stores,
    queue: Queue,
    phones: FakeConnections,
    clock: Clock,
    sweep_of: Callable[..., Sweep],
    slices: Slices,
) -> None:
    ids = admit(stores, session_id, 1200, clock)
    clock.now += 7200
    (session,) = stores.sessions.scan_page(None, 1)[0]
    ending = sweep_of(slices=slices)._ending
    list_all = stores.listeners.list_all
    add = Participant("speaker=", session_id, Role.LISTENER, 0, "es")

    def list_with_speaker(session_id: str) -> Any:
        if "speaker=" in phones.inbox:
            stores.participants.put(add)
        return list_all(session_id)

    stores.listeners.list_all = list_with_speaker  # type: ignore[method-assign]
    assert ending.end_expired(session.session_id)
    for part in queue.take():
        service.slice_deliveries.deliver(part)
    assert received(phones) == end_once([*ids, "speaker="])


# Events and logs


def test_a_slice_is_unchanged_after_encoding_and_decoding() -> None:
    trail = {"requestId": "request=", "sessionId": None, "correlation": None}
    part = Slice("golden-eagle-427", URL, ["a="], TEXT, 5, is_end=True, trail=trail)
    event = json.loads(json.dumps(part.to_event()))
    assert is_slice(event)
    assert Slice.from_event(event) == part


def test_each_slice_has_a_unique_id_and_the_same_end_of_its_time(slices: Slices) -> None:
    parts = slices.cut("golden-eagle-427", receivers(3000), TEXT, 1_800_000_002.0)
    assert len({part.event_id for part in parts}) == 3
    assert {part.posts_until_ms for part in parts} == {1_800_000_002_000}


def test_the_function_that_makes_deliveries_posts_slices(
    service: UseCases, session_id: str, phones: FakeConnections, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wiring, "use_cases", {URL: service}.__getitem__)
    part = Slice(session_id, URL, ["a="], TEXT, 1_800_000_002_000)
    wiring.deliver(part.to_event())
    assert received(phones) == {"a=": ["sessionPaused"]}


def test_no_line_contains_the_text_or_a_connection_id_of_a_slice(
    notices: Notices,
    service: UseCases,
    session_id: str,
    queue: Queue,
    stores: Stores,
    capfd: pytest.CaptureFixture[str],
) -> None:
    telemetry.configure("DEBUG")
    queue.refused = {0}
    marked = [f"marked-{each}" for each in receivers(3000)]
    notices.fan_out(session_id, marked, '{"text": "marked"}', 2)
    (part,) = queue.take()
    service.slice_deliveries.deliver(part)

    def fail(_event_id: str) -> bool:
        raise RuntimeError(part.text)

    stores.event_claims.claim = fail  # type: ignore[method-assign]
    with pytest.raises(Exception, match="unexpected"):
        service.slice_deliveries.deliver(part)
    captured = capfd.readouterr()
    assert '"event": "slice"' in captured.out
    assert '"slice not sent"' in captured.out
    assert "marked" not in captured.out + captured.err


def test_a_slice_has_the_log_trail_of_the_event_that_caused_it(
    notices: Notices,
    service: UseCases,
    session_id: str,
    queue: Queue,
    capsys: pytest.CaptureFixture[str],
) -> None:
    telemetry.configure("INFO")
    with telemetry.handled("message", request_id="request="):
        notices.fan_out(session_id, receivers(1001), TEXT, 2)
    capsys.readouterr()
    (part,) = queue.take()
    service.slice_deliveries.deliver(part)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    (done,) = (line for line in lines if line.get("message") == "event handled")
    assert (done["event"], done["requestId"]) == ("slice", "request=")


def test_results_add_up() -> None:
    one = FanOut(1, frozenset({"a="}), 2, frozenset({"b="}), 5.0)
    two = FanOut(3, frozenset({"c="}), 1, frozenset(), 6.0)
    assert sum_up([one, two]) == FanOut(4, frozenset({"a=", "c="}), 3, frozenset({"b="}))
    assert sum_up([]) == FanOut(0, frozenset(), 0)
