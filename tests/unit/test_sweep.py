"""What is set right though no event did: the sweep, with the failures first."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from chalicelib.aws.connections import POST_SECONDS
from chalicelib.dispatch import Dispatcher
from chalicelib.errors import ServiceUnavailable
from chalicelib.lifecycle import END_SECONDS
from chalicelib.models import Connection, EndReason, Role, Session
from chalicelib.store import SWEEP_CURSOR, Listing, Store, SweepCursor
from chalicelib.sweep import DEADLINE_SECONDS, WORK_SECONDS, Report, Sweep
from tests.unit.fakes import (
    CREATE,
    Clock,
    FailingStore,
    FakeConnections,
    closing,
    frame,
    reply,
    scan,
    types,
)

LISTENERS = {f"listener-{number}=" for number in (1, 2)}

Status = Callable[[], dict[str, Any]]


@pytest.fixture
def status(dispatcher: Dispatcher) -> Status:
    def ask() -> dict[str, Any]:
        return reply(dispatcher.message(frame("speaker=", "user-1", action="getSessionStatus")))

    return ask


@pytest.fixture
def join(dispatcher: Dispatcher) -> Callable[[str, str], None]:
    def join(connection_id: str, session_id: str) -> None:
        into = {"action": "joinSession", "sessionId": session_id, "targetLanguage": "es"}
        joined = reply(dispatcher.message(frame(connection_id, **into)))
        assert joined["type"] == "sessionJoined", joined

    return join


@pytest.fixture
def hall(session_id: str, join: Callable[[str, str], None]) -> str:
    """A session with two listeners."""
    for each in sorted(LISTENERS):
        join(each, session_id)
    return session_id


@pytest.fixture
def beat(dispatcher: Dispatcher) -> Callable[..., None]:
    """Send a heartbeat on each of these connections."""

    def beat(*connection_ids: str) -> None:
        for each in connection_ids:
            dispatcher.message(frame(each, action="heartbeat"))

    return beat


def create(dispatcher: Dispatcher, speaker: str) -> str:
    return str(reply(dispatcher.message(frame(speaker, "user-1", **CREATE)))["sessionId"])


def seat(session_id: str, clock: Clock, connection_id: str) -> Connection:
    return Connection(connection_id, session_id, Role.LISTENER, int(clock() * 1000), "es")


def over(store: Store) -> list[Session]:
    return [each for each in store.scan_sessions(None, 9)[0] if each.end_reason]


def with_store(sweep: Sweep, store: Store) -> Sweep:
    return replace(sweep, lifecycle=replace(sweep.lifecycle, store=store))


# What fails


def test_a_sweep_that_cannot_read_the_sessions_says_so(
    sweep: Sweep, dynamodb: Any, clock: Clock
) -> None:
    store = FailingStore(dynamodb, "sessions", "connections", clock)
    store.failing = "scan_sessions"
    with pytest.raises(ServiceUnavailable):
        with_store(sweep, store).run()


def test_a_session_that_fails_does_not_stop_the_rest(
    sweep: Sweep,
    dispatcher: Dispatcher,
    dynamodb: Any,
    clock: Clock,
    phones: FakeConnections,
) -> None:
    ids = [create(dispatcher, f"speaker-{number}=") for number in range(3)]

    class FailsForOne(Store):
        def list_connections(self, session_id: str) -> Listing:
            if session_id == ids[1]:
                raise RuntimeError("unforeseen")
            return super().list_connections(session_id)

    store = FailsForOne(dynamodb, "sessions", "connections", clock)
    report = with_store(sweep, store).run()
    assert (report.visited, report.active_sessions, report.failed) == (3, 2, 1)
    assert report.is_complete


def test_a_grace_whose_end_fails_does_not_stop_the_others(
    sweep: Sweep, dispatcher: Dispatcher, dynamodb: Any, clock: Clock
) -> None:
    ids = [create(dispatcher, f"speaker-{number}=") for number in range(3)]
    for number in range(3):
        dispatcher.disconnect(closing(f"speaker-{number}=", 1006))

    class FailsForOne(Store):
        def claim_end_of_grace(
            self, session_id: str, grace_ends_at_ms: int | None = None
        ) -> Session | None:
            if session_id == ids[1]:
                raise ServiceUnavailable("busy", retry_after_seconds=2)
            return super().claim_end_of_grace(session_id, grace_ends_at_ms)

    store = FailsForOne(dynamodb, "sessions", "connections", clock)
    report = with_store(sweep, store).run()
    assert (report.ended, report.failed) == (2, 1)
    assert sweep.run().ended == 1


def test_a_sweep_of_nothing_does_nothing(sweep: Sweep, dynamodb: Any) -> None:
    assert sweep.run() == Report(is_complete=True)
    assert scan(dynamodb, "sessions") == []


# Sessions whose time is up


def test_an_expired_session_ends_and_everyone_is_told_the_speaker_too(
    sweep: Sweep, hall: str, clock: Clock, phones: FakeConnections, dynamodb: Any
) -> None:
    clock.now += 7200
    assert sweep.run().ended == 1
    clock.now += 35
    sweep.run()
    ended = {
        "type": "sessionEnded",
        "timestamp": 1_800_007_200_000,
        "sessionId": hall,
        "reason": "expired",
    }
    assert phones.inbox == {each: [ended] for each in {"speaker=", *LISTENERS}}
    assert scan(dynamodb, "sessions") == scan(dynamodb, "connections") == []


def test_a_session_that_a_heartbeat_saved_since_it_was_read_goes_on(
    sweep: Sweep, hall: str, clock: Clock, dispatcher: Dispatcher, dynamodb: Any, status: Status
) -> None:
    class HeartbeatAfterTheScan(Store):
        def scan_sessions(
            self, after_session_id: str | None, limit: int
        ) -> tuple[list[Session], str | None]:
            found = super().scan_sessions(after_session_id, limit)
            dispatcher.message(frame("speaker=", "user-1", action="heartbeat"))
            clock.now += 1
            return found

    clock.now += 7199.5
    store = HeartbeatAfterTheScan(dynamodb, "sessions", "connections", clock)
    assert with_store(sweep, store).run().ended == 0
    assert status()["listenerCount"] == 2


Beat = Callable[..., None]


def test_a_speaker_whose_heartbeats_are_missing_interrupts_the_session(
    sweep: Sweep, hall: str, clock: Clock, phones: FakeConnections, beat: Beat
) -> None:
    clock.now += 30
    beat("speaker=", *LISTENERS)
    clock.now += 89.9
    beat(*LISTENERS)
    sweep.run()
    assert phones.inbox == {}
    clock.now += 0.1
    began_at = clock()
    sweep.run()
    assert "speaker=" in phones.closed
    assert {to: types(told) for to, told in phones.inbox.items()} == {
        each: ["sessionInterrupted"] for each in LISTENERS
    }
    assert {told[0]["graceSeconds"] for told in phones.inbox.values()} == {60}
    clock.now = began_at + 60
    sweep.run()
    sweep.run()
    assert {to: types(told) for to, told in phones.inbox.items()} == {
        each: ["sessionInterrupted", "sessionEnded"] for each in LISTENERS
    }
    assert {told[1]["reason"] for told in phones.inbox.values()} == {"speakerLost"}


@pytest.mark.parametrize("code", [1000, 1001])
def test_the_close_of_a_lost_speakers_connection_by_the_sweep_changes_nothing(
    sweep: Sweep,
    hall: str,
    clock: Clock,
    phones: FakeConnections,
    dispatcher: Dispatcher,
    status: Status,
    code: int,
) -> None:
    """API Gateway reports it with 1000, as it does a close by the client."""
    clock.now += 90
    sweep.run()
    sent = {to: list(told) for to, told in phones.inbox.items()}
    dispatcher.disconnect(closing("speaker=", code))
    assert phones.inbox == sent
    refresh = {"action": "refreshConnection", "sessionId": hall, "role": "speaker"}
    clock.now += 50
    answer = reply(dispatcher.message(frame("speaker-2=", "user-1", **refresh)))
    assert answer["type"] == "connectionRefreshComplete"


def test_a_speaker_whose_heartbeat_comes_as_the_sweep_removes_it_stays(
    sweep: Sweep,
    hall: str,
    clock: Clock,
    phones: FakeConnections,
    dynamodb: Any,
    beat: Beat,
) -> None:
    class HeartbeatAfterTheLook(Store):
        def find_connection(self, connection_id: str) -> Connection | None:
            found = super().find_connection(connection_id)
            beat("speaker=")
            return found

    clock.now += 90
    beat(*LISTENERS)
    late = HeartbeatAfterTheLook(dynamodb, "sessions", "connections", clock)
    with_store(sweep, late).run()
    assert phones.inbox == {}
    assert phones.closed == set()


def test_a_session_whose_speaker_never_got_his_place_is_interrupted_and_ends(
    sweep: Sweep, hall: str, clock: Clock, phones: FakeConnections, store: Store
) -> None:
    store.delete_connection("speaker=", hall)
    clock.now += 34
    sweep.run()
    assert phones.inbox == {}
    clock.now += 1
    sweep.run()
    clock.now += 60
    sweep.run()
    assert types(phones.inbox["listener-1="]) == ["sessionInterrupted", "sessionEnded"]


def test_a_speaker_who_closed_while_the_service_broke_off_is_found(
    sweep: Sweep, hall: str, clock: Clock, phones: FakeConnections, store: Store
) -> None:
    store.close_connection("speaker=")
    clock.now += 35
    sweep.run()
    assert types(phones.inbox["listener-1="]) == ["sessionInterrupted"]


# Graces


def test_a_sweep_waits_for_graces_that_end_before_the_next_begins(
    sweep: Sweep, hall: str, clock: Clock, phones: FakeConnections, dispatcher: Dispatcher
) -> None:
    dispatcher.disconnect(closing("speaker=", 1006))
    clock.now += 20
    assert sweep.run().ended == 1
    (ended,) = phones.inbox["listener-1="][1:]
    assert (ended["type"], ended["timestamp"]) == ("sessionEnded", 1_800_000_060_000)


def test_a_sweep_waits_for_none_that_is_still_there_when_the_next_begins(
    sweep: Sweep, hall: str, clock: Clock, dispatcher: Dispatcher, lifecycle: Any
) -> None:
    long = replace(lifecycle, speaker_grace_seconds=60.5)
    long.leave("speaker=")
    assert sweep.run().ended == 0
    assert clock() == 1_800_000_000


def test_a_speaker_who_comes_back_while_the_sweep_waits_keeps_his_session(
    sweep: Sweep, hall: str, clock: Clock, phones: FakeConnections, dispatcher: Dispatcher
) -> None:
    dispatcher.disconnect(closing("speaker=", 1006))
    refresh = {"action": "refreshConnection", "sessionId": hall, "role": "speaker"}

    def sleep(seconds: float) -> None:
        clock.now += seconds
        dispatcher.message(frame("speaker-2=", "user-1", **refresh))

    assert replace(sweep, sleep=sleep).run().ended == 0
    assert types(phones.inbox["listener-1="]) == ["sessionInterrupted", "sessionResumed"]


def test_graces_end_in_their_order_each_at_its_time(
    sweep: Sweep,
    clock: Clock,
    phones: FakeConnections,
    dispatcher: Dispatcher,
    join: Callable[[str, str], None],
) -> None:
    ids = [create(dispatcher, f"speaker-{number}=") for number in range(3)]
    for number, session_id in enumerate(ids):
        join(f"listener-{number}=", session_id)
    for number in (2, 0, 1):
        dispatcher.disconnect(closing(f"speaker-{number}=", 1006))
        clock.now += 7
    assert sweep.run().ended == 3
    ended_at = [phones.inbox[f"listener-{number}="][1]["timestamp"] for number in (2, 0, 1)]
    assert ended_at == [1_800_000_060_000, 1_800_000_067_000, 1_800_000_074_000]


# Listeners


def test_lost_listeners_are_counted_out_once_and_their_connections_closed(
    sweep: Sweep,
    hall: str,
    clock: Clock,
    phones: FakeConnections,
    status: Status,
    dispatcher: Dispatcher,
    beat: Beat,
) -> None:
    clock.now += 89
    beat("speaker=", "listener-2=")
    assert sweep.run().removed == 0
    clock.now += 1
    report = sweep.run()
    assert (report.removed, report.listeners) == (1, 1)
    assert phones.closed == {"listener-1="}
    dispatcher.disconnect(closing("listener-1=", 1000))
    assert sweep.run().removed == 0
    assert status()["listenerCount"] == 1
    assert status()["languages"] == {"es": 1}


def test_a_settled_listener_is_lost_six_minutes_after_its_heartbeat_at_the_latest(
    sweep: Sweep, hall: str, clock: Clock, status: Status, beat: Beat
) -> None:
    for _ in range(12):
        clock.now += 30
        beat("speaker=", *LISTENERS)
    sweeps_until_removed = 0
    while status()["listenerCount"] == 2:
        beat("speaker=")
        clock.now += 30
        beat("speaker=")
        clock.now += 30
        beat("speaker=")
        sweep.run()
        sweeps_until_removed += 1
    assert sweeps_until_removed == 5
    assert status()["listenerCount"] == 0


def test_a_listener_whose_heartbeat_comes_as_the_sweep_removes_it_stays(
    sweep: Sweep,
    hall: str,
    clock: Clock,
    phones: FakeConnections,
    dynamodb: Any,
    beat: Beat,
) -> None:
    class HeartbeatAfterTheLook(Store):
        def find_records(self, connection_ids: Any) -> list[Connection]:
            found = super().find_records(connection_ids)
            beat("listener-1=")
            return found

    clock.now += 90
    beat("speaker=")
    late = HeartbeatAfterTheLook(dynamodb, "sessions", "connections", clock)
    assert with_store(sweep, late).run().removed == 1
    assert phones.closed == {"listener-2="}


def test_a_listener_that_the_sweep_removed_learns_it_from_a_late_heartbeat_and_comes_back(
    sweep: Sweep,
    hall: str,
    clock: Clock,
    status: Status,
    dispatcher: Dispatcher,
    beat: Beat,
) -> None:
    clock.now += 90
    beat("speaker=")
    sweep.run()
    assert status()["listenerCount"] == 0
    late = reply(dispatcher.message(frame("listener-1=", action="heartbeat")))
    assert late["type"] == "heartbeatAck"
    assert "sessionId" not in late
    refresh = {
        "action": "refreshConnection",
        "sessionId": hall,
        "role": "listener",
        "targetLanguage": "fr",
        "connectionId": "listener-1=",
    }
    dispatcher.message(frame("new=", **refresh))
    assert status()["listenerCount"] == 1


def test_a_second_sweep_changes_nothing(
    sweep: Sweep,
    hall: str,
    clock: Clock,
    phones: FakeConnections,
    dynamodb: Any,
    beat: Beat,
) -> None:
    clock.now += 90
    beat("listener-2=", "speaker=")
    sweep.run()
    before = scan(dynamodb, "sessions"), scan(dynamodb, "connections"), dict(phones.inbox)
    sweep.run()
    sweep.run()
    assert (
        scan(dynamodb, "sessions"),
        scan(dynamodb, "connections"),
        phones.inbox,
    ) == before


def test_a_join_that_broke_off_is_removed_and_not_counted_out(
    sweep: Sweep, hall: str, clock: Clock, store: Store, status: Status, beat: Beat
) -> None:
    store.put_connection(replace(seat(hall, clock, "late="), target_language="~arriving"))
    beat("speaker=", *LISTENERS)
    assert sweep.run().listeners == 2
    clock.now += 34.9
    sweep.run()
    assert store.find_record("late=") is not None
    clock.now += 0.1
    assert sweep.run().removed == 0
    assert store.find_record("late=") is None
    assert status()["listenerCount"] == 2


def test_a_join_that_ends_as_the_sweep_removes_it_stays(
    hall: str, clock: Clock, store: Store
) -> None:
    arriving = replace(seat(hall, clock, "late="), target_language="~arriving")
    store.put_connection(arriving)
    assert not store.delete_arriving("late=", hall, arriving.taken_at_ms + 1)
    assert not store.delete_arriving("listener-1=", hall, arriving.taken_at_ms)
    assert store.delete_arriving("late=", hall, arriving.taken_at_ms)


# Counts


def test_a_count_that_is_too_high_is_mended_at_the_second_look(
    sweep: Sweep, hall: str, clock: Clock, status: Status, store: Store
) -> None:
    store.count_in(hall, "es", None, 3)  # and then the function broke off
    assert sweep.run().mended == 0
    clock.now += 35
    assert sweep.run().mended == 1
    assert status()["listenerCount"] == 2
    assert sweep.run().mended == 0


def test_a_count_that_is_too_low_is_mended_at_the_second_look(
    sweep: Sweep, hall: str, clock: Clock, status: Status, store: Store
) -> None:
    store.count_out(hall, {"es": 2})
    sweep.run()
    clock.now += 35
    assert sweep.run().mended == 2
    assert status()["listenerCount"] == 2


def test_a_leave_that_broke_off_is_counted_out_within_two_sweeps(
    sweep: Sweep, hall: str, clock: Clock, status: Status, store: Store
) -> None:
    store.close_connection("listener-1=")
    sweep.run()
    clock.now += 60
    sweep.run()
    assert status()["listenerCount"] == 1


def test_a_count_is_never_raised_above_the_maximum(
    sweep: Sweep, hall: str, clock: Clock, status: Status, store: Store
) -> None:
    for number in range(2):
        store.put_connection(seat(hall, clock, f"more-{number}="))
    for _ in range(3):
        assert sweep.run().mended == 0
        clock.now += 35
    assert status()["listenerCount"] <= 3


def test_two_looks_within_35_seconds_mend_nothing(
    sweep: Sweep, hall: str, clock: Clock, status: Status, store: Store
) -> None:
    store.count_in(hall, "es", None, 3)
    sweep.run()
    clock.now += 34.9
    assert sweep.run().mended == 0
    clock.now += 0.1
    assert sweep.run().mended == 1


@pytest.mark.parametrize("what", ["join", "leave", "refresh"])
def test_nothing_is_mended_if_somebody_came_or_went_between_the_looks(
    sweep: Sweep,
    hall: str,
    clock: Clock,
    store: Store,
    status: Status,
    dispatcher: Dispatcher,
    what: str,
) -> None:
    store.count_out(hall, {"es": 1})
    sweep.run()
    clock.now += 35
    into = {"sessionId": hall, "targetLanguage": "es"}
    if what == "join":
        dispatcher.message(frame("new=", action="joinSession", **into))
    elif what == "leave":
        dispatcher.disconnect(closing("listener-1="))
    else:
        refresh = {"action": "refreshConnection", "role": "listener", **into}
        dispatcher.message(frame("new=", **refresh, connectionId="listener-1="))
    assert sweep.run().mended == 0
    clock.now += 35
    assert sweep.run().mended == 1
    listed = sum(status()["languages"].values())
    assert status()["listenerCount"] == listed


def test_a_join_that_is_under_way_is_not_taken_for_a_wrong_count(
    sweep: Sweep, hall: str, clock: Clock, store: Store, status: Status
) -> None:
    store.count_in(hall, "es", None, 3)
    sweep.run()
    store.put_connection(seat(hall, clock, "late="))
    clock.now += 60
    assert sweep.run().mended == 0
    assert status()["listenerCount"] == 3


def test_only_what_both_looks_agree_on_is_mended(
    sweep: Sweep, hall: str, clock: Clock, store: Store, status: Status
) -> None:
    store.count_out(hall, {"es": 2})
    sweep.run()
    store.close_connection("listener-1=")  # the first half of a leave
    clock.now += 35
    assert sweep.run().mended == 1
    assert status()["listenerCount"] == 1


def test_a_listing_that_was_wrong_for_a_moment_is_not_remembered(
    sweep: Sweep, hall: str, clock: Clock, dynamodb: Any, status: Status, beat: Beat
) -> None:
    class OverlooksOne(Store):
        """As an index may that lags behind."""

        def list_connections(self, session_id: str) -> Listing:
            listing = super().list_connections(session_id)
            return Listing(dict(sorted(listing.present.items())[1:]), listing.arriving)

    lagging = with_store(sweep, OverlooksOne(dynamodb, "sessions", "connections", clock))
    lagging.run()
    clock.now += 60
    beat("speaker=", *LISTENERS)
    sweep.run()
    clock.now += 60
    assert lagging.run().mended == 0
    assert status()["listenerCount"] == 2


# Ends that were broken off


def test_an_end_that_was_claimed_and_broken_off_is_finished_and_everyone_told_once(
    sweep: Sweep,
    hall: str,
    store: Store,
    phones: FakeConnections,
    clock: Clock,
    dynamodb: Any,
) -> None:
    store.claim_end(hall, EndReason.SPEAKER_ENDED, "speaker=")
    for _ in range(3):
        sweep.run()
        clock.now += 35
    assert {to: types(told) for to, told in phones.inbox.items()} == {
        each: ["sessionEnded"] for each in LISTENERS
    }
    assert scan(dynamodb, "sessions") == scan(dynamodb, "connections") == []


def test_an_end_that_was_broken_off_half_way_tells_nobody_twice(
    sweep: Sweep,
    hall: str,
    dispatcher: Dispatcher,
    phones: FakeConnections,
    clock: Clock,
    dynamodb: Any,
    lifecycle: Any,
) -> None:
    class ListsOne(Store):
        def list_connections(self, session_id: str) -> Listing:
            listing = super().list_connections(session_id)
            return Listing(dict(sorted(listing.present.items())[:1]), listing.arriving)

        def put_back_listeners(self, session_id: str, connection_ids: Any) -> None:
            raise RuntimeError("the function is killed")

    killed = replace(lifecycle, store=ListsOne(dynamodb, "sessions", "connections", clock))
    with pytest.raises(RuntimeError):
        killed.end_by_speaker(hall, "speaker=")
    assert phones.inbox.keys() == {"listener-1="}
    sweep.run()
    assert {to: types(told) for to, told in phones.inbox.items()} == {
        each: ["sessionEnded"] for each in LISTENERS
    }
    assert scan(dynamodb, "connections") == []


def test_an_end_that_takes_too_long_is_left_to_the_next_sweep(
    sweep: Sweep,
    hall: str,
    store: Store,
    clock: Clock,
    phones: FakeConnections,
    dynamodb: Any,
) -> None:
    class Slow(FakeConnections):
        def fan_out(self, connection_ids: Any, text: str, limit_seconds: float = 10) -> Any:
            clock.now += END_SECONDS
            return super().fan_out(connection_ids, text, limit_seconds)

    class OneAtATime(Store):
        def list_connections(self, session_id: str) -> Listing:
            listing = super().list_connections(session_id)
            return Listing(dict(sorted(listing.present.items())[:1]), listing.arriving)

    slow: Any = Slow()
    store = OneAtATime(dynamodb, "sessions", "connections", clock)
    busy = replace(sweep, lifecycle=replace(sweep.lifecycle, store=store, connections=slow))
    store.claim_end(hall, EndReason.SPEAKER_ENDED, "speaker=")
    clock.now += 35
    busy.run()
    assert over(store) != []
    busy.run()
    busy.run()
    assert over(store) == []
    assert {to: types(told) for to, told in slow.inbox.items()} == {
        each: ["sessionEnded"] for each in LISTENERS
    }


def test_an_ended_session_is_kept_until_everything_has_settled(
    sweep: Sweep, hall: str, store: Store, clock: Clock, dispatcher: Dispatcher
) -> None:
    dispatcher.message(frame("speaker=", "user-1", action="endSession"))
    clock.now += 34.9
    sweep.run()
    store.put_connection(seat(hall, clock, "late="))
    clock.now += 0.1
    sweep.run()
    assert over(store) == []
    assert store.find_connection("late=") is None


# Out of time


class Pages(Store):
    """Counts the pages of sessions that a sweep has read."""

    read = -1

    def find_sweep_cursor(self) -> SweepCursor:
        cursor = super().find_sweep_cursor()
        self.read = 0
        return cursor

    def scan_sessions(
        self, after_session_id: str | None, limit: int
    ) -> tuple[list[Session], str | None]:
        found = super().scan_sessions(after_session_id, limit)
        self.read += 1
        return found


def ending_after(pages: int, sweep: Sweep, dynamodb: Any, clock: Clock) -> Sweep:
    """Return a sweep whose time is up after so many pages."""
    store = Pages(dynamodb, "sessions", "connections", clock)
    return replace(
        with_store(sweep, store),
        stopwatch=lambda: 0.0 if store.read < pages else float(WORK_SECONDS),
    )


@pytest.mark.parametrize("listeners", [0, 2])
def test_a_sweep_begins_nothing_that_it_cannot_finish_before_its_deadline(
    sweep: Sweep,
    dispatcher: Dispatcher,
    dynamodb: Any,
    clock: Clock,
    join: Callable[[str, str], None],
    listeners: int,
) -> None:
    """Twelve ends whose posts are slow take four minutes; the next sweeps do what is left."""
    session_ids = [create(dispatcher, f"speaker-{number}=") for number in range(12)]
    for number in range(listeners):
        join(f"listener-{number}=", session_ids[number])
    clock.now += 7200
    began_at = clock()

    class Slow(FakeConnections):
        def post(self, connection_id: str, text: str) -> None:
            if connection_id.startswith("speaker"):
                clock.now += POST_SECONDS
            super().post(connection_id, text)

        def fan_out(self, connection_ids: Any, text: str, limit_seconds: float = 10) -> Any:
            clock.now += limit_seconds
            return super().fan_out(connection_ids, text, limit_seconds)

    slow: Any = Slow()
    busy = replace(sweep, lifecycle=replace(sweep.lifecycle, connections=slow))
    everyone = {
        *(f"speaker-{number}=" for number in range(12)),
        *(f"listener-{number}=" for number in range(listeners)),
    }
    busy.run()
    assert set(slow.inbox) < everyone
    assert clock() - began_at <= DEADLINE_SECONDS
    for _ in range(3):
        clock.now += 60
        busy.run()
    assert set(slow.inbox) == everyone
    assert all(types(told) == ["sessionEnded"] for told in slow.inbox.values())


def test_a_grace_that_ends_after_the_deadline_is_left_to_the_next_sweep(
    sweep: Sweep, hall: str, clock: Clock, dispatcher: Dispatcher, dynamodb: Any
) -> None:
    dispatcher.disconnect(closing("speaker=", 1006))

    class Slow(Pages):
        def list_connections(self, session_id: str) -> Listing:
            clock.now += 50
            return super().list_connections(session_id)

    store = Slow(dynamodb, "sessions", "connections", clock)
    began_at = clock()
    late = replace(with_store(sweep, store), stopwatch=lambda: 2 * (clock() - began_at))
    assert late.run().ended == 0
    assert clock() - began_at == 50
    clock.now += 10
    assert sweep.run().ended == 1


def test_a_sweep_that_runs_out_of_time_hands_on_to_the_next_whose_gauges_are_complete(
    sweep: Sweep,
    dispatcher: Dispatcher,
    dynamodb: Any,
    clock: Clock,
    join: Callable[[str, str], None],
) -> None:
    ids = [create(dispatcher, f"speaker-{number}=") for number in range(5)]
    for number, session_id in enumerate(ids):
        join(f"listener-{number}=", session_id)
    short = replace(sweep, page_sessions=2)
    first = ending_after(1, short, dynamodb, clock).run()
    assert (first.visited, first.active_sessions, first.is_complete) == (2, 2, False)
    assert SWEEP_CURSOR in {item["sessionId"]["S"] for item in scan(dynamodb, "sessions")}

    second = ending_after(1, short, dynamodb, clock).run()
    assert not second.is_complete
    third = short.run()
    assert first.visited + second.visited + third.visited == 5
    assert (third.active_sessions, third.listeners, third.is_complete) == (5, 5, True)
    assert len(scan(dynamodb, "sessions")) == 5

    fourth = short.run()
    assert (fourth.active_sessions, fourth.listeners, fourth.visited) == (5, 5, 5)


def test_where_a_sweep_stopped_is_no_session(
    sweep: Sweep, store: Store, hall: str, dispatcher: Dispatcher
) -> None:
    store.put_sweep_cursor(SweepCursor("zzz", 3, 4))
    assert store.find_sweep_cursor() == SweepCursor("zzz", 3, 4)
    assert [each.session_id for each in store.scan_sessions(None, 9)[0]] == [hall]
    store.put_sweep_cursor(SweepCursor())
    assert store.find_sweep_cursor() == SweepCursor()


def test_a_sweep_that_is_out_of_time_at_once_keeps_its_place(
    sweep: Sweep, hall: str, store: Store, dynamodb: Any, clock: Clock
) -> None:
    kept = SweepCursor("golden-eagle-050", 7, 8)
    store.put_sweep_cursor(kept)
    assert ending_after(0, sweep, dynamodb, clock).run().visited == 0
    assert store.find_sweep_cursor() == kept


def test_two_sweeps_side_by_side_tell_everyone_once(
    sweep: Sweep, hall: str, clock: Clock, phones: FakeConnections, dynamodb: Any
) -> None:
    class SweptInBetween(Store):
        """After each list of sessions another sweep does all there is to do."""

        def scan_sessions(
            self, after_session_id: str | None, limit: int
        ) -> tuple[list[Session], str | None]:
            found = super().scan_sessions(after_session_id, limit)
            sweep.run()
            return found

    clock.now += 7200
    late = SweptInBetween(dynamodb, "sessions", "connections", clock)
    with_store(sweep, late).run()
    assert {to: types(told) for to, told in phones.inbox.items()} == {
        each: ["sessionEnded"] for each in {"speaker=", *LISTENERS}
    }
