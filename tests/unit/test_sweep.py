"""The sweep, which repairs state that no event has cleaned up."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from chalicelib.assembly import UseCases
from chalicelib.aws.connections import POST_SECONDS
from chalicelib.dispatch import Dispatcher
from chalicelib.ending import END_SECONDS, Ending
from chalicelib.errors import ServiceUnavailable
from chalicelib.limits import Graces
from chalicelib.models import EndReason, Participant, Role, Session
from chalicelib.store.listeners import ListenerStore, Listing
from chalicelib.store.participants import ParticipantStore
from chalicelib.store.sessions import SessionStore
from chalicelib.store.stores import Stores
from chalicelib.store.sweep_cursor import SWEEP_CURSOR, SweepCursor, SweepCursorStore
from chalicelib.store.table import Table
from chalicelib.sweep import DEADLINE_SECONDS, WORK_SECONDS, Sweep
from chalicelib.sweep_report import Report
from tests.unit.fakes import (
    CREATE,
    Clock,
    FakeConnections,
    closing,
    frame,
    reply,
    scan,
    types,
    with_failing,
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
def attended_id(session_id: str, join: Callable[[str, str], None]) -> str:
    """Return the ID of a session with two listeners."""
    for each in sorted(LISTENERS):
        join(each, session_id)
    return session_id


@pytest.fixture
def beat(dispatcher: Dispatcher) -> Callable[..., None]:
    """Return a function that sends a heartbeat on each of the given connections."""

    def beat(*connection_ids: str) -> None:
        for each in connection_ids:
            dispatcher.message(frame(each, action="heartbeat"))

    return beat


def create(dispatcher: Dispatcher, speaker: str) -> str:
    return str(reply(dispatcher.message(frame(speaker, "user-1", **CREATE)))["sessionId"])


def seat(session_id: str, clock: Clock, connection_id: str) -> Participant:
    return Participant(connection_id, session_id, Role.LISTENER, int(clock() * 1000), "es")


def ended_sessions(stores: Stores) -> list[Session]:
    return [each for each in stores.sessions.scan_page(None, 9)[0] if each.end_reason]


HookedStore = SessionStore | ListenerStore | ParticipantStore
SweepWith = Callable[..., Sweep]


@pytest.fixture
def sweep_with(
    sweep_of: Callable[..., Sweep],
    stores: Stores,
    phones: FakeConnections,
    dynamodb: Any,
    clock: Clock,
) -> SweepWith:
    """Return a function that builds a sweep with a store of a given class, or with connections."""

    def sweep_with(
        kind: type[HookedStore] | None = None,
        *,
        stores: Stores = stores,
        connections: Any = phones,
        **named: Any,
    ) -> Sweep:
        if kind is not None:
            stores = hooked(stores, kind, dynamodb, clock)
        return sweep_of(stores=stores, connections=connections, **named)

    return sweep_with


def hooked(stores: Stores, kind: type[HookedStore], dynamodb: Any, clock: Clock) -> Stores:
    """Return stores, with one of the given class."""
    connections = Table(dynamodb, "connections", "connectionId")
    if issubclass(kind, SessionStore):
        sessions = Table(dynamodb, "sessions", "sessionId")
        return replace(stores, sessions=kind(sessions, connections, clock))
    if issubclass(kind, ListenerStore):
        return replace(stores, listeners=kind(connections, clock))
    return replace(stores, participants=kind(connections, clock))


# Failures


def test_a_sweep_that_cannot_read_the_sessions_raises_service_unavailable(
    sweep_with: SweepWith, stores: Stores
) -> None:
    with pytest.raises(ServiceUnavailable):
        sweep_with(stores=with_failing(stores, "sessions.scan_page")).run()


def test_a_session_that_fails_does_not_stop_the_rest(
    sweep_with: SweepWith, dispatcher: Dispatcher
) -> None:
    ids = [create(dispatcher, f"speaker-{number}=") for number in range(3)]

    class FailsForOne(ListenerStore):
        def list_all(self, session_id: str) -> Listing:
            if session_id == ids[1]:
                raise RuntimeError("unforeseen")
            return super().list_all(session_id)

    report = sweep_with(FailsForOne).run()
    assert (report.visited, report.active_sessions, report.failed) == (3, 2, 1)
    assert report.is_complete


def test_a_grace_whose_end_fails_does_not_stop_the_others(
    sweep_with: SweepWith, sweep: Sweep, dispatcher: Dispatcher
) -> None:
    ids = [create(dispatcher, f"speaker-{number}=") for number in range(3)]
    for number in range(3):
        dispatcher.disconnect(closing(f"speaker-{number}=", 1006))

    class FailsForOne(SessionStore):
        def claim_end_of_grace(
            self, session_id: str, grace_ends_at_ms: int | None = None
        ) -> Session | None:
            if session_id == ids[1]:
                raise ServiceUnavailable("busy", retry_after_seconds=2)
            return super().claim_end_of_grace(session_id, grace_ends_at_ms)

    report = sweep_with(FailsForOne).run()
    assert (report.ended, report.failed) == (2, 1)
    assert sweep.run().ended == 1


def test_a_sweep_without_sessions_changes_nothing(sweep: Sweep, dynamodb: Any) -> None:
    assert sweep.run() == Report(is_complete=True)
    assert scan(dynamodb, "sessions") == []


# Expired sessions and lost speakers


def test_an_expired_session_ends_and_all_participants_are_notified(
    sweep: Sweep, attended_id: str, clock: Clock, phones: FakeConnections, dynamodb: Any
) -> None:
    clock.now += 7200
    assert sweep.run().ended == 1
    clock.now += 35
    sweep.run()
    ended = {
        "type": "sessionEnded",
        "timestamp": 1_800_007_200_000,
        "sessionId": attended_id,
        "reason": "expired",
    }
    assert phones.inbox == {each: [ended] for each in {"speaker=", *LISTENERS}}
    assert scan(dynamodb, "sessions") == scan(dynamodb, "connections") == []


def test_a_session_that_a_heartbeat_extends_after_the_scan_stays_open(
    sweep_with: SweepWith, attended_id: str, clock: Clock, dispatcher: Dispatcher, status: Status
) -> None:
    class HeartbeatAfterTheScan(SessionStore):
        def scan_page(
            self, after_session_id: str | None, limit: int
        ) -> tuple[list[Session], str | None]:
            found = super().scan_page(after_session_id, limit)
            dispatcher.message(frame("speaker=", "user-1", action="heartbeat"))
            clock.now += 1
            return found

    clock.now += 7199.5
    assert sweep_with(HeartbeatAfterTheScan).run().ended == 0
    assert status()["listenerCount"] == 2


Beat = Callable[..., None]


def test_a_speaker_whose_heartbeats_are_missing_interrupts_the_session(
    sweep: Sweep, attended_id: str, clock: Clock, phones: FakeConnections, beat: Beat
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
    assert {to: types(notices) for to, notices in phones.inbox.items()} == {
        each: ["sessionInterrupted"] for each in LISTENERS
    }
    assert {notices[0]["graceSeconds"] for notices in phones.inbox.values()} == {60}
    clock.now = began_at + 60
    sweep.run()
    sweep.run()
    assert {to: types(notices) for to, notices in phones.inbox.items()} == {
        each: ["sessionInterrupted", "sessionEnded"] for each in LISTENERS
    }
    assert {notices[1]["reason"] for notices in phones.inbox.values()} == {"speakerLost"}


@pytest.mark.parametrize("code", [1000, 1001])
def test_the_disconnect_of_a_speaker_that_the_sweep_closed_changes_nothing(
    sweep: Sweep,
    attended_id: str,
    clock: Clock,
    phones: FakeConnections,
    dispatcher: Dispatcher,
    status: Status,
    code: int,
) -> None:
    """API Gateway reports this close with 1000, like a close by the client."""
    clock.now += 90
    sweep.run()
    sent = {to: list(notices) for to, notices in phones.inbox.items()}
    dispatcher.disconnect(closing("speaker=", code))
    assert phones.inbox == sent
    refresh = {"action": "refreshConnection", "sessionId": attended_id, "role": "speaker"}
    clock.now += 50
    answer = reply(dispatcher.message(frame("speaker-2=", "user-1", **refresh)))
    assert answer["type"] == "connectionRefreshComplete"


def test_a_speaker_whose_heartbeat_arrives_during_its_removal_stays(
    sweep_with: SweepWith, attended_id: str, clock: Clock, phones: FakeConnections, beat: Beat
) -> None:
    class HeartbeatAfterTheRead(ParticipantStore):
        def find_present(self, connection_id: str) -> Participant | None:
            found = super().find_present(connection_id)
            beat("speaker=")
            return found

    clock.now += 90
    beat(*LISTENERS)
    sweep_with(HeartbeatAfterTheRead).run()
    assert phones.inbox == {}
    assert phones.closed == set()


def test_a_session_whose_speaker_is_not_a_participant_is_interrupted_and_ends(
    sweep: Sweep, attended_id: str, clock: Clock, phones: FakeConnections, stores: Stores
) -> None:
    stores.participants.delete("speaker=", attended_id)
    clock.now += 34
    sweep.run()
    assert phones.inbox == {}
    clock.now += 1
    sweep.run()
    clock.now += 60
    sweep.run()
    assert types(phones.inbox["listener-1="]) == ["sessionInterrupted", "sessionEnded"]


def test_the_sweep_interrupts_a_session_whose_speaker_has_left(
    sweep: Sweep, attended_id: str, clock: Clock, phones: FakeConnections, stores: Stores
) -> None:
    stores.participants.mark_left("speaker=")
    clock.now += 35
    sweep.run()
    assert types(phones.inbox["listener-1="]) == ["sessionInterrupted"]


# Graces


def test_a_sweep_waits_for_graces_that_end_before_the_next_sweep_begins(
    sweep: Sweep, attended_id: str, clock: Clock, phones: FakeConnections, dispatcher: Dispatcher
) -> None:
    dispatcher.disconnect(closing("speaker=", 1006))
    clock.now += 20
    assert sweep.run().ended == 1
    (ended,) = phones.inbox["listener-1="][1:]
    assert (ended["type"], ended["timestamp"]) == ("sessionEnded", 1_800_000_060_000)


def test_a_sweep_does_not_wait_for_graces_that_end_after_the_next_sweep_begins(
    build: Callable[..., UseCases],
    sweep: Sweep,
    attended_id: str,
    clock: Clock,
    dispatcher: Dispatcher,
) -> None:
    build(graces=Graces(60.5, 5)).lifecycle.leave("speaker=")
    assert sweep.run().ended == 0
    assert clock() == 1_800_000_000


def test_a_speaker_that_returns_while_the_sweep_waits_keeps_the_session(
    sweep_of: Callable[..., Sweep],
    attended_id: str,
    clock: Clock,
    phones: FakeConnections,
    dispatcher: Dispatcher,
) -> None:
    dispatcher.disconnect(closing("speaker=", 1006))
    refresh = {"action": "refreshConnection", "sessionId": attended_id, "role": "speaker"}

    def sleep(seconds: float) -> None:
        clock.now += seconds
        dispatcher.message(frame("speaker-2=", "user-1", **refresh))

    assert sweep_of(sleep=sleep).run().ended == 0
    assert types(phones.inbox["listener-1="]) == ["sessionInterrupted", "sessionResumed"]


def test_graces_end_in_order_and_on_time(
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


def test_lost_listeners_are_subtracted_once_and_their_connections_are_closed(
    sweep: Sweep,
    attended_id: str,
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


def test_a_settled_listener_is_lost_at_most_six_minutes_after_its_last_heartbeat(
    sweep: Sweep, attended_id: str, clock: Clock, status: Status, beat: Beat
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


def test_a_listener_whose_heartbeat_arrives_during_its_removal_stays(
    sweep_with: SweepWith, attended_id: str, clock: Clock, phones: FakeConnections, beat: Beat
) -> None:
    class HeartbeatAfterTheRead(ListenerStore):
        def find_many(self, connection_ids: Any) -> list[Participant]:
            found = super().find_many(connection_ids)
            beat("listener-1=")
            return found

    clock.now += 90
    beat("speaker=")
    assert sweep_with(HeartbeatAfterTheRead).run().removed == 1
    assert phones.closed == {"listener-2="}


def test_a_removed_listener_gets_a_heartbeat_answer_without_a_session_and_can_return(
    sweep: Sweep,
    attended_id: str,
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
        "sessionId": attended_id,
        "role": "listener",
        "targetLanguage": "fr",
        "connectionId": "listener-1=",
    }
    dispatcher.message(frame("new=", **refresh))
    assert status()["listenerCount"] == 1


def test_a_second_sweep_changes_nothing(
    sweep: Sweep,
    attended_id: str,
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


def test_an_interrupted_join_is_removed_and_not_subtracted(
    sweep: Sweep, attended_id: str, clock: Clock, stores: Stores, status: Status, beat: Beat
) -> None:
    stores.participants.put(replace(seat(attended_id, clock, "late="), target_language="~arriving"))
    beat("speaker=", *LISTENERS)
    assert sweep.run().listeners == 2
    clock.now += 34.9
    sweep.run()
    assert stores.participants.find("late=") is not None
    clock.now += 0.1
    assert sweep.run().removed == 0
    assert stores.participants.find("late=") is None
    assert status()["listenerCount"] == 2


def test_a_join_that_completes_during_its_removal_stays(
    attended_id: str, clock: Clock, stores: Stores
) -> None:
    arriving = replace(seat(attended_id, clock, "late="), target_language="~arriving")
    stores.participants.put(arriving)
    assert not stores.participants.delete_arriving(
        replace(arriving, joined_at_ms=arriving.joined_at_ms + 1)
    )
    assert not stores.participants.delete_arriving(replace(arriving, connection_id="listener-1="))
    assert stores.participants.delete_arriving(arriving)


# Counts


def test_a_count_that_is_too_high_is_repaired_by_the_second_sweep(
    sweep: Sweep, attended_id: str, clock: Clock, status: Status, stores: Stores
) -> None:
    stores.seats.take(attended_id, "es", None, 3)  # Then the function stopped.
    assert sweep.run().repaired == 0
    clock.now += 35
    assert sweep.run().repaired == 1
    assert status()["listenerCount"] == 2
    assert sweep.run().repaired == 0


def test_a_count_that_is_too_low_is_repaired_by_the_second_sweep(
    sweep: Sweep, attended_id: str, clock: Clock, status: Status, stores: Stores
) -> None:
    stores.seats.release(attended_id, {"es": 2})
    sweep.run()
    clock.now += 35
    assert sweep.run().repaired == 2
    assert status()["listenerCount"] == 2


def test_an_interrupted_leave_is_subtracted_within_two_sweeps(
    sweep: Sweep, attended_id: str, clock: Clock, status: Status, stores: Stores
) -> None:
    stores.participants.mark_left("listener-1=")
    sweep.run()
    clock.now += 60
    sweep.run()
    assert status()["listenerCount"] == 1


def test_a_count_is_never_raised_above_the_maximum(
    sweep: Sweep, attended_id: str, clock: Clock, status: Status, stores: Stores
) -> None:
    for number in range(2):
        stores.participants.put(seat(attended_id, clock, f"more-{number}="))
    for _ in range(3):
        assert sweep.run().repaired == 0
        clock.now += 35
    assert status()["listenerCount"] <= 3


def test_two_sweeps_within_35_seconds_repair_nothing(
    sweep: Sweep, attended_id: str, clock: Clock, status: Status, stores: Stores
) -> None:
    stores.seats.take(attended_id, "es", None, 3)
    sweep.run()
    clock.now += 34.9
    assert sweep.run().repaired == 0
    clock.now += 0.1
    assert sweep.run().repaired == 1


@pytest.mark.parametrize("change", ["join", "leave", "refresh"])
def test_a_count_is_not_repaired_if_listeners_changed_between_the_sweeps(
    sweep: Sweep,
    attended_id: str,
    clock: Clock,
    stores: Stores,
    status: Status,
    dispatcher: Dispatcher,
    beat: Callable[..., None],
    change: str,
) -> None:
    stores.seats.release(attended_id, {"es": 1})
    sweep.run()
    clock.now += 35
    into = {"sessionId": attended_id, "targetLanguage": "es"}
    if change == "join":
        dispatcher.message(frame("new=", action="joinSession", **into))
    elif change == "leave":
        dispatcher.disconnect(closing("listener-1="))
    else:
        refresh = {"action": "refreshConnection", "role": "listener", **into}
        dispatcher.message(frame("new=", **refresh, connectionId="listener-1="))
    assert sweep.run().repaired == 0
    beat("listener-2=", "speaker=")
    clock.now += 35
    assert sweep.run().repaired == 1
    listed = sum(status()["languages"].values())
    assert status()["listenerCount"] == listed


def test_a_join_in_progress_is_not_repaired_as_a_wrong_count(
    sweep: Sweep, attended_id: str, clock: Clock, stores: Stores, status: Status
) -> None:
    stores.seats.take(attended_id, "es", None, 3)
    sweep.run()
    stores.participants.put(seat(attended_id, clock, "late="))
    clock.now += 60
    assert sweep.run().repaired == 0
    assert status()["listenerCount"] == 3


def test_only_a_difference_that_both_sweeps_find_is_repaired(
    sweep: Sweep, attended_id: str, clock: Clock, stores: Stores, status: Status
) -> None:
    stores.seats.release(attended_id, {"es": 2})
    sweep.run()
    stores.participants.mark_left("listener-1=")  # The first write of a leave.
    clock.now += 35
    assert sweep.run().repaired == 1
    assert status()["listenerCount"] == 1


def test_a_stale_listing_causes_no_repair(
    sweep_with: SweepWith, sweep: Sweep, attended_id: str, clock: Clock, status: Status, beat: Beat
) -> None:
    class OverlooksOne(ListenerStore):
        """Lists one listener too few, as an index can that lags behind."""

        def list_all(self, session_id: str) -> Listing:
            listing = super().list_all(session_id)
            return Listing(dict(sorted(listing.present.items())[1:]), listing.arriving)

    lagging = sweep_with(OverlooksOne)
    lagging.run()
    clock.now += 60
    beat("speaker=", *LISTENERS)
    sweep.run()
    clock.now += 60
    assert lagging.run().repaired == 0
    assert status()["listenerCount"] == 2


# Interrupted ends


def test_an_end_that_stopped_after_its_claim_is_finished_and_notifies_listeners_once(
    sweep: Sweep,
    attended_id: str,
    stores: Stores,
    phones: FakeConnections,
    clock: Clock,
    dynamodb: Any,
) -> None:
    stores.sessions.claim_end(attended_id, EndReason.SPEAKER_ENDED, "speaker=")
    for _ in range(3):
        sweep.run()
        clock.now += 35
    assert {to: types(notices) for to, notices in phones.inbox.items()} == {
        each: ["sessionEnded"] for each in LISTENERS
    }
    assert scan(dynamodb, "sessions") == scan(dynamodb, "connections") == []


def test_an_end_that_stopped_halfway_notifies_each_participant_once(
    ending_of: Callable[..., Ending],
    sweep: Sweep,
    attended_id: str,
    phones: FakeConnections,
    clock: Clock,
    dynamodb: Any,
    stores: Stores,
) -> None:
    class ListsOne(ListenerStore):
        def list_all(self, session_id: str) -> Listing:
            listing = super().list_all(session_id)
            return Listing(dict(sorted(listing.present.items())[:1]), listing.arriving)

        def put_back(self, session_id: str, connection_ids: Any) -> None:
            raise RuntimeError("the function is killed")

    killed = ending_of(hooked(stores, ListsOne, dynamodb, clock))
    with pytest.raises(RuntimeError):
        killed.end_by_speaker(attended_id, "speaker=")
    assert phones.inbox.keys() == {"listener-1="}
    sweep.run()
    assert {to: types(notices) for to, notices in phones.inbox.items()} == {
        each: ["sessionEnded"] for each in LISTENERS
    }
    assert scan(dynamodb, "connections") == []


def test_an_end_that_takes_too_long_is_left_to_the_next_sweep(
    sweep_with: SweepWith,
    attended_id: str,
    stores: Stores,
    clock: Clock,
) -> None:
    class Slow(FakeConnections):
        def fan_out(self, connection_ids: Any, text: str, limit_seconds: float = 10) -> Any:
            clock.now += END_SECONDS
            return super().fan_out(connection_ids, text, limit_seconds)

    class ListsOne(ListenerStore):
        def list_all(self, session_id: str) -> Listing:
            listing = super().list_all(session_id)
            return Listing(dict(sorted(listing.present.items())[:1]), listing.arriving)

    slow: Any = Slow()
    busy = sweep_with(ListsOne, connections=slow)
    stores.sessions.claim_end(attended_id, EndReason.SPEAKER_ENDED, "speaker=")
    clock.now += 35
    busy.run()
    assert ended_sessions(stores) != []
    busy.run()
    busy.run()
    assert ended_sessions(stores) == []
    assert {to: types(notices) for to, notices in slow.inbox.items()} == {
        each: ["sessionEnded"] for each in LISTENERS
    }


def test_an_ended_session_is_kept_until_joins_in_progress_have_finished(
    sweep: Sweep, attended_id: str, stores: Stores, clock: Clock, dispatcher: Dispatcher
) -> None:
    dispatcher.message(frame("speaker=", "user-1", action="endSession"))
    clock.now += 34.9
    sweep.run()
    stores.participants.put(seat(attended_id, clock, "late="))
    clock.now += 0.1
    sweep.run()
    assert ended_sessions(stores) == []
    assert stores.participants.find_present("late=") is None


# Deadlines


class Pages(SessionStore):
    """Counts the pages of sessions that a sweep has read."""

    read = -1

    def scan_page(
        self, after_session_id: str | None, limit: int
    ) -> tuple[list[Session], str | None]:
        found = super().scan_page(after_session_id, limit)
        self.read += 1
        return found


EndingAfter = Callable[..., Sweep]


@pytest.fixture
def ending_after(
    sweep_of: Callable[..., Sweep], dynamodb: Any, clock: Clock, stores: Stores
) -> EndingAfter:
    """Return a function that builds a sweep that has no time left after a number of pages."""

    def ending_after(pages: int, **named: Any) -> Sweep:
        counting = hooked(stores, Pages, dynamodb, clock).sessions
        assert isinstance(counting, Pages)

        class StartsToCount(SweepCursorStore):
            def get(self) -> SweepCursor:
                cursor = super().get()
                counting.read = 0
                return cursor

        cursor = StartsToCount(Table(dynamodb, "sessions", "sessionId"))
        return sweep_of(
            stores=replace(stores, sessions=counting, sweep_cursor=cursor),
            **named,
            stopwatch=lambda: 0.0 if counting.read < pages else float(WORK_SECONDS),
        )

    return ending_after


@pytest.mark.parametrize("listeners", [0, 2])
def test_a_sweep_begins_no_end_that_it_cannot_finish_before_its_deadline(
    sweep_with: SweepWith,
    dispatcher: Dispatcher,
    clock: Clock,
    join: Callable[[str, str], None],
    listeners: int,
) -> None:
    """Twelve ends with slow posts take four minutes. The next sweeps complete them."""
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
    busy = sweep_with(connections=slow)
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
    assert all(types(notices) == ["sessionEnded"] for notices in slow.inbox.values())


def test_a_grace_that_ends_after_the_deadline_is_left_to_the_next_sweep(
    sweep_with: SweepWith,
    sweep: Sweep,
    attended_id: str,
    clock: Clock,
    dispatcher: Dispatcher,
) -> None:
    dispatcher.disconnect(closing("speaker=", 1006))

    class Slow(ListenerStore):
        def list_all(self, session_id: str) -> Listing:
            clock.now += 50
            return super().list_all(session_id)

    began_at = clock()
    late = sweep_with(Slow, stopwatch=lambda: 2 * (clock() - began_at))
    assert late.run().ended == 0
    assert clock() - began_at == 50
    clock.now += 10
    assert sweep.run().ended == 1


def test_a_later_sweep_completes_one_that_ran_out_of_time_and_counts_all_sessions(
    sweep_of: Callable[..., Sweep],
    ending_after: EndingAfter,
    dispatcher: Dispatcher,
    dynamodb: Any,
    join: Callable[[str, str], None],
) -> None:
    ids = [create(dispatcher, f"speaker-{number}=") for number in range(5)]
    for number, session_id in enumerate(ids):
        join(f"listener-{number}=", session_id)
    first = ending_after(1, page_sessions=2).run()
    assert (first.visited, first.active_sessions, first.is_complete) == (2, 2, False)
    assert SWEEP_CURSOR in {item["sessionId"]["S"] for item in scan(dynamodb, "sessions")}

    second = ending_after(1, page_sessions=2).run()
    assert not second.is_complete
    short = sweep_of(page_sessions=2)
    third = short.run()
    assert first.visited + second.visited + third.visited == 5
    assert (third.active_sessions, third.listeners, third.is_complete) == (5, 5, True)
    assert len(scan(dynamodb, "sessions")) == 5

    fourth = short.run()
    assert (fourth.active_sessions, fourth.listeners, fourth.visited) == (5, 5, 5)


def test_the_cursor_of_a_sweep_is_not_a_session(
    sweep: Sweep, stores: Stores, attended_id: str, dispatcher: Dispatcher
) -> None:
    stores.sweep_cursor.put(SweepCursor("zzz", 3, 4))
    assert stores.sweep_cursor.get() == SweepCursor("zzz", 3, 4)
    assert [each.session_id for each in stores.sessions.scan_page(None, 9)[0]] == [attended_id]
    stores.sweep_cursor.put(SweepCursor())
    assert stores.sweep_cursor.get() == SweepCursor()


def test_a_sweep_without_any_time_keeps_its_cursor(
    ending_after: EndingAfter, attended_id: str, stores: Stores
) -> None:
    kept = SweepCursor("golden-eagle-050", 7, 8)
    stores.sweep_cursor.put(kept)
    assert ending_after(0).run().visited == 0
    assert stores.sweep_cursor.get() == kept


def test_two_concurrent_sweeps_notify_each_participant_once(
    sweep_with: SweepWith, sweep: Sweep, attended_id: str, clock: Clock, phones: FakeConnections
) -> None:
    class SweepAfterTheScan(SessionStore):
        """Runs another sweep after each page of sessions."""

        def scan_page(
            self, after_session_id: str | None, limit: int
        ) -> tuple[list[Session], str | None]:
            found = super().scan_page(after_session_id, limit)
            sweep.run()
            return found

    clock.now += 7200
    sweep_with(SweepAfterTheScan).run()
    assert {to: types(notices) for to, notices in phones.inbox.items()} == {
        each: ["sessionEnded"] for each in {"speaker=", *LISTENERS}
    }
