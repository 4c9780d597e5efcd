"""A state machine of random events, which checks the invariants of the protocol."""

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any, TypeVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from chalicelib.store.items import LANGUAGE_COUNT
from chalicelib.store.number_updates import REPEATED
from tests.properties.faults import NO_FAULT, Fault, Operation, Plan
from tests.properties.world import (
    CONNECTION_SECONDS,
    HEARTBEAT_TIMEOUT_SECONDS,
    LONGEST_SILENCE_SECONDS,
    MARK,
    MAX_LISTENERS,
    MAX_REFUSED_COMMANDS,
    Closing,
    Link,
    State,
    World,
    is_present,
    seen,
)
from tests.unit.fakes import Clock

T = TypeVar("T")

picks = st.integers(0, 23)
plans = st.builds(
    Plan,
    st.sampled_from(
        [Fault.NONE] * 8
        + [Fault.CRASH_BEFORE, Fault.CRASH_AFTER, Fault.CRASH_AFTER]
        + [Fault.THROTTLED, Fault.LOST, Fault.UNANSWERED, Fault.REPEATED]
        + [Fault.SLOW] * 4
    ),
    st.integers(0, 7),
    is_stale=st.sampled_from([False, False, True]),
    stores_first=st.booleans(),
)
languages = st.sampled_from(["es", "fr", "en"])
ways = st.sampled_from(["frame", "url", "url late", "url never"])
users = [f"{MARK}-user-1", f"{MARK}-user-2"]
addresses = [f"{MARK}-address-{number}" for number in range(4)]
SETTLING_SECONDS = 2 * LONGEST_SILENCE_SECONDS
"""Longer than draining takes. No connection must reach its lifetime during this time."""

BEAT_SECONDS = HEARTBEAT_TIMEOUT_SECONDS - 20
"""Interval between the heartbeats of live clients."""

OPENS = {"url": "at once", "url late": "late", "url never": "never"}
RACERS = (
    "sweep",
    "end by speaker",
    "clean close by speaker",
    "loss of speaker",
    "refresh speaker",
    "pause by speaker",
    "caption by speaker",
    "translation",
    "join",
    "loss of listener",
    "refresh listener",
)
SUCCESSES = {"sessionCreated", "sessionJoined", "connectionRefreshComplete"}


def choose(pick: int, some: Sequence[T]) -> T:
    return some[pick % len(some)]


class Broadcasts(RuleBasedStateMachine):
    """Clients, the service and its sweeps, with faults."""

    clock: Clock

    def __init__(self) -> None:
        super().__init__()
        self.world = World(self.clock)
        self.before: dict[str, dict[str, Any]] = {}
        seen["examples"] += 1

    # Events from clients.

    @initialize(listeners=st.integers(0, MAX_LISTENERS))
    def begin(self, listeners: int) -> None:
        """Start with a session, mostly with listeners. Otherwise few examples have a full one."""
        speaker = self._connect(users[0], addresses[0])
        self._send(speaker, {"action": "createSession", "sourceLanguage": "en"})
        session_id = self.world.session_ids[-1]
        for number in range(listeners):
            link = self._connect(None, addresses[number])
            self._send(link, join_command(session_id, "es", None))
        self._check()

    @rule(
        pick=picks,
        address=picks,
        admission=st.sampled_from(["open", "open", "invited"]),
        way=ways,
        plan=plans,
        repeat=st.booleans(),
    )
    def create(
        self, pick: int, address: int, admission: str, way: str, plan: Plan, repeat: bool
    ) -> None:
        fields = {"action": "createSession", "sourceLanguage": "en", "admission": admission}
        self._send_first(users[pick % 2], addresses[address % 4], fields, way, plan, repeat)

    @rule(
        pick=picks,
        address=picks,
        language=languages,
        code=st.sampled_from(["none", "right", "wrong"]),
        way=ways,
        plan=plans,
        repeat=st.booleans(),
    )
    def join(
        self, pick: int, address: int, language: str, code: str, way: str, plan: Plan, repeat: bool
    ) -> None:
        session_id = self._some_session(pick)
        fields = join_command(session_id, language, self._code(session_id, code))
        self._send_first(None, addresses[address % 4], fields, way, plan, repeat)

    @rule(pick=picks, link=picks, language=languages, plan=plans, repeat=st.booleans())
    def join_on_some_link(
        self, pick: int, link: int, language: str, plan: Plan, repeat: bool
    ) -> None:
        """Join on a connection that can be, or have been, a participant already."""
        session_id = self._some_session(pick)
        if open_links := self._open_links():
            code = self._code(session_id, "right")
            self._send_frame(
                choose(link, open_links), join_command(session_id, language, code), plan, repeat
            )

    @rule(
        pick=picks,
        old=picks,
        language=languages,
        way=ways,
        plan=plans,
        repeat=st.booleans(),
        is_own=st.sampled_from([True, True, True, False]),
        closes=st.booleans(),
    )
    def refresh_listener(
        self,
        pick: int,
        old: int,
        language: str,
        way: str,
        plan: Plan,
        repeat: bool,
        is_own: bool,
        closes: bool,
    ) -> None:
        """Refresh, mostly a listener's connection, otherwise any or an unknown connection ID."""
        holders = [link for link in self._open_links() if link.is_participant("listener")]
        if is_own and holders:
            replaced = choose(old, holders)
            assert replaced.membership
            session_id, old_id = replaced.membership.session_id, replaced.connection_id
        else:
            session_id = self._some_session(pick)
            old_id = choose(old, [*self.world.links, f"{MARK}-unknown="])
        fields = _refresh_listener(session_id, language, old_id)
        self._send_first(None, addresses[old % 4], fields, way, plan, repeat)
        if closes:
            self._close_superseded()

    @rule(old=picks, link=picks, language=languages, plan=plans, repeat=st.booleans())
    def refresh_on_some_link(
        self, old: int, link: int, language: str, plan: Plan, repeat: bool
    ) -> None:
        """Refresh on a connection that can be a participant already, including the same one."""
        holders = [each for each in self.world.links.values() if each.user_id is None]
        open_links = self._open_links()
        if holders and open_links:
            session_id = self._some_session(old)
            fields = _refresh_listener(session_id, language, choose(old, holders).connection_id)
            self._send_frame(choose(link, open_links), fields, plan, repeat)

    @rule(
        pick=picks,
        user=st.sampled_from([0, 0, 0, 1]),
        way=ways,
        plan=plans,
        repeat=st.booleans(),
        closes=st.booleans(),
    )
    def refresh_speaker(
        self, pick: int, user: int, way: str, plan: Plan, repeat: bool, closes: bool
    ) -> None:
        session_id = self._some_session(pick)
        owner = self.world.sessions().get(session_id, {}).get("speakerUserId", users[0])
        user_id = owner if user == 0 else users[1 - users.index(owner)]
        self._send_first(user_id, addresses[0], _refresh_speaker(session_id), way, plan, repeat)
        if closes:
            self._close_superseded()

    @rule(pick=picks, link=picks, plan=plans, repeat=st.booleans())
    def refresh_speaker_on_some_link(self, pick: int, link: int, plan: Plan, repeat: bool) -> None:
        session_id = self._some_session(pick)
        if open_links := [each for each in self._open_links() if each.user_id]:
            self._send_frame(choose(link, open_links), _refresh_speaker(session_id), plan, repeat)

    @rule(
        pick=picks,
        action=st.sampled_from(
            ["heartbeat", "changeLanguage", "getSessionStatus", "pauseSession", "resumeSession"]
        ),
        language=languages,
        plan=plans,
        repeat=st.booleans(),
        resumes=st.booleans(),
    )
    def command(
        self, pick: int, action: str, language: str, plan: Plan, repeat: bool, resumes: bool
    ) -> None:
        role = "listener" if action == "changeLanguage" else "speaker"
        if link := self._some_link(pick, role):
            fields = {"action": action}
            if action == "changeLanguage":
                fields["targetLanguage"] = language
            self._send_frame(link, fields, plan, repeat)
            if action == "pauseSession" and resumes and link.is_open:
                self._send_frame(link, {"action": "resumeSession"}, NO_FAULT, repeat)

    @rule(pick=picks, language=languages, plan=plans)
    def change_language(self, pick: int, language: str, plan: Plan) -> None:
        """Change the language of a listener."""
        if holders := [link for link in self._open_links() if link.is_participant("listener")]:
            fields = {"action": "changeLanguage", "targetLanguage": language}
            self._send_frame(choose(pick, holders), fields, plan, repeat=True)

    @rule(pick=picks, plan=plans, repeat=st.booleans())
    def end(self, pick: int, plan: Plan, repeat: bool) -> None:
        if link := self._some_link(pick, "speaker"):
            self._send_frame(link, {"action": "endSession"}, plan, repeat)

    @rule(
        pick=picks,
        code=st.sampled_from([1000, 1005, 1001, None]),
        disconnects=st.sampled_from([0, 0, 1, 2]),
    )
    def close(self, pick: int, code: int | None, disconnects: int) -> None:
        """Close or lose a connection. $disconnect is delivered later, twice or never."""
        self._begin_step()
        if link := self._some_link(pick // 2, "speaker" if pick % 2 else "listener"):
            self.world.close(link, code, disconnects)

    @rule(pick=picks, plan=plans)
    def join_until_closed(self, pick: int, plan: Plan) -> None:
        """Join with a wrong code until the service closes the connection, then once more."""
        session_id, address = self._some_session(pick), addresses[pick % 4]
        fields = join_command(session_id, "es", self._code(session_id, "wrong"))
        link = self._connect(None, address)
        for _ in range(MAX_REFUSED_COMMANDS):
            if link.is_open:
                self._send_frame(link, fields, NO_FAULT, repeat=False)
        while self.world.outcomes and link.is_open:
            self._begin_step()
            self.world.deliver(self.world.outcomes.pop())
            self._check()
        self._send_frame(self._connect(None, address), fields, plan, repeat=False)

    @rule(pick=picks, settles=st.booleans())
    def lose_count(self, pick: int, settles: bool) -> None:
        """Lose a listener, and crash in its $disconnect before the count is lowered."""
        holders = [link for link in self._open_links() if link.is_participant("listener")]
        if holders:
            self._begin_step()
            self.world.close(choose(pick, holders), 1001, disconnects=1)
            self._disconnect(self.world.closings.pop(), Plan(Fault.CRASH_AFTER))
            self._check()
            if settles:
                self._settle(are_events_lost=True)

    def _close_superseded(self) -> None:
        """Close a superseded connection, as clients do. Its $disconnect follows immediately."""
        superseded = [it for it in self._open_links() if it.superseded and not it.membership]
        if superseded and not self.world.operations:
            self._begin_step()
            self.world.close(superseded[-1], 1000, disconnects=1)
            self._disconnect(self.world.closings.pop(), NO_FAULT)
            self._check()

    @rule(
        pick=picks,
        first=st.sampled_from(RACERS),
        second=st.sampled_from([*RACERS, "loss of the same"]),
        at=st.integers(0, 6),
        second_plan=plans,
        first_plan=plans,
    )
    def race(
        self, pick: int, first: str, second: str, at: int, second_plan: Plan, first_plan: Plan
    ) -> None:
        """Run a second event for a session between two requests of a first one."""
        self._begin_step()
        session_id = self._some_session(pick)
        slow = self._perform(first, session_id, pick, Plan(Fault.SLOW, at))
        self._check()
        if slow is None or not slow.is_running:
            return
        if second == "loss of the same":
            self._lose_newest()
        else:
            self._perform(second, session_id, pick + 1, second_plan)
        self._check()
        self.world.kill_late()
        if slow.is_running:
            self.world.resume(slow, first_plan)
            self._check()

    @rule(
        pick=picks,
        event=st.sampled_from(RACERS),
        command=st.sampled_from(["join", "refresh listener", "refresh speaker"]),
        plan=plans,
    )
    def connect_slowly(self, pick: int, event: str, command: str, plan: Plan) -> None:
        """Run an event for a session before or while one of its connections opens."""
        self._begin_step()
        world, session_id = self.world, self._some_session(pick)
        holders = [
            link for link in self._open_links() if link.is_participant("listener", session_id)
        ]
        if command == "join" or (command == "refresh listener" and not holders):
            user_id, fields = None, join_command(session_id, "es", self._code(session_id, "right"))
        elif command == "refresh listener":
            old_id = choose(pick, holders).connection_id
            user_id, fields = None, _refresh_listener(session_id, "fr", old_id)
        else:
            user_id = world.sessions().get(session_id, {}).get("speakerUserId", users[0])
            fields = _refresh_speaker(session_id)
        link, _ = world.connect(user_id, addresses[pick % 4], fields, opens="late")
        self._check()
        self._perform(event, session_id, pick, plan)
        self._check()
        if link.state is State.OPENING:
            world.open(link)
        for outcome in [each for each in world.outcomes if each.link is link]:
            world.outcomes.remove(outcome)
            world.deliver(outcome)
            self._check()

    # Events from API Gateway, Lambda and EventBridge.

    @precondition(lambda self: self.world.closings)
    @rule(pick=picks, plan=plans, repeat=st.booleans())
    def disconnect(self, pick: int, plan: Plan, repeat: bool) -> None:
        """Deliver a $disconnect, in any order."""
        self._begin_step()
        closing = choose(pick, self.world.closings)
        self.world.closings.remove(closing)
        operation = self._disconnect(closing, plan)
        is_handled = operation.is_done and not operation.had_fault
        if repeat and is_handled and not self.world.operations:
            records = self._records()
            self.world.disconnect(closing)
            assert self._records() == records, "statement 5: $disconnect"
        self._check()

    @precondition(lambda self: self.world.outcomes)
    @rule(
        pick=picks,
        plan=plans,
        is_lost=st.sampled_from([False, False, False, True]),
        again=st.booleans(),
    )
    def deliver(self, pick: int, plan: Plan, is_lost: bool, again: bool) -> None:
        """Deliver an outcome up to three times, or lose it."""
        self._begin_step()
        outcome = choose(pick, self.world.outcomes)
        if again and outcome.times_again < 2:
            outcome.times_again += 1
            seen["an event came again"] += 1
        else:
            self.world.outcomes.remove(outcome)
        if not is_lost:
            self.world.deliver(outcome, plan)
        self._check()

    @precondition(lambda self: self._opening())
    @rule(pick=picks)
    def open_late(self, pick: int) -> None:
        self._begin_step()
        if opening := self._opening():
            self.world.open(choose(pick, opening))

    @precondition(lambda self: self.world.operations)
    @rule(pick=picks, plan=plans)
    def resume(self, pick: int, plan: Plan) -> None:
        """Resume a running event until it ends or meets its next fault."""
        self._begin_step()
        if self.world.operations:
            self.world.resume(choose(pick, self.world.operations), plan)
        self._check()

    @precondition(lambda self: self.world.operations)
    @rule(pick=picks)
    def crash(self, pick: int) -> None:
        self._begin_step()
        if self.world.operations:
            self.world.kill(choose(pick, self.world.operations))

    @rule(plan=plans)
    def sweep(self, plan: Plan) -> None:
        self._begin_step()
        self.world.sweep(plan)
        self._check()

    @rule(
        seconds=st.sampled_from([1, 3, 10, 20, 34, 36, 60, 60, 120, 580, 600, 2400, 6000, 7200]),
        is_lively=st.sampled_from([True, True, False]),
        disconnects=st.integers(0, 2),
        is_swept=st.booleans(),
    )
    def pass_time(self, seconds: int, is_lively: bool, disconnects: int, is_swept: bool) -> None:
        """Let time pass, with or without heartbeats, and optionally run a sweep afterwards."""
        self._begin_step()
        while seconds > 0:
            some = min(seconds, BEAT_SECONDS) if is_lively else seconds
            self.world.pass_time(some, disconnects)
            seconds -= some
            for link in self._open_links() if is_lively else []:
                if link.membership:
                    self.world.send(link, {"action": "heartbeat"})
                else:
                    link.active_at = self.clock()
            self._check()
        if is_swept:
            self.world.sweep()
            self._check()

    @rule()
    def expire_items(self) -> None:
        self._begin_step()
        self.world.expire_items()
        self._check()

    @rule(are_events_lost=st.booleans())
    def settle(self, are_events_lost: bool) -> None:
        """Drain all events, and check that counts are correct and no obsolete item is left."""
        self._settle(are_events_lost)

    def teardown(self) -> None:
        try:
            if self.world.session_ids:
                self._settle(are_events_lost=True)
            self._check_log()
        finally:
            self.world.stop()

    def _check_log(self) -> None:
        """Check statement 6, and that the log contains no unexpected errors."""
        log = self.world.logged()
        assert MARK not in log, "statement 6"
        assert "event handled" in log
        for line in log.splitlines():
            assert "error" not in json.loads(line), line

    # Helpers of the rules.

    def _begin_step(self) -> None:
        self.world.step += 1
        self.world.kill_late()
        self._check()

    def _open_links(self) -> list[Link]:
        return [link for link in self.world.links.values() if link.is_open]

    def _opening(self) -> list[Link]:
        opening = [link for link in self.world.links.values() if link.state is State.OPENING]
        at_work = any(each.name == "connect" for each in self.world.operations)
        return [] if at_work else opening

    def _perform(self, event: str, session_id: str, pick: int, plan: Plan) -> Operation | None:
        """Run one of RACERS for a session. Returns None if it isn't possible."""
        world = self.world
        if event == "sweep":
            return world.sweep(plan)
        if event == "join":
            code = self._code(session_id, "right")
            link = self._connect(None, addresses[pick % 4])
            return self._send(link, join_command(session_id, "es", code), plan)
        if event == "refresh speaker":
            owner = world.sessions().get(session_id, {}).get("speakerUserId", users[0])
            link = self._connect(owner, addresses[0])
            return self._send(link, _refresh_speaker(session_id), plan)
        if event == "translation":
            return world.publish(world.captions.request(session_id, "es", new=2), plan)
        role = "listener" if "listener" in event else "speaker"
        holders = [link for link in self._open_links() if link.is_participant(role, session_id)]
        if not holders:
            return None
        holder = choose(pick, holders)
        if event == "refresh listener":
            link = self._connect(None, addresses[pick % 4])
            fields = _refresh_listener(session_id, "fr", holder.connection_id)
            return self._send(link, fields, plan)
        if event == "caption by speaker":
            return self._send(holder, world.captions.phrase(session_id), plan)
        if event in ("end by speaker", "pause by speaker"):
            return self._send(holder, {"action": event.partition(" ")[0] + "Session"}, plan)
        world.close(holder, 1000 if event == "clean close by speaker" else 1001, 1)
        closing = world.closings.pop()
        return world.disconnect(closing, plan)

    def _lose_newest(self) -> None:
        """Lose the newest connection, and handle its $disconnect."""
        link = list(self.world.links.values())[-1]
        if link.is_open:
            self.world.close(link, 1001, 1)
            self.world.disconnect(self.world.closings.pop())

    def _some_session(self, pick: int) -> str:
        """Choose a session that clients know, preferably an open one."""
        sessions = self.world.sessions()
        all_ids = list(self.world.known_ids)
        still_open = [it for it in all_ids if self.world.is_session_open(sessions.get(it))]
        return choose(pick, still_open * 3 + all_ids)

    def _some_link(self, pick: int, role: str) -> Link | None:
        """Choose an open connection, preferably a participant with this role."""
        open_links = self._open_links()
        holders = [link for link in open_links if link.is_participant(role)]
        return choose(pick, holders * 3 + open_links) if open_links else None

    def _code(self, session_id: str, which: str) -> str | None:
        codes = {"none": None, "wrong": f"{MARK}-wrong"}
        return codes.get(which, self.world.invite_codes.get(session_id))

    def _connect(self, user_id: str | None, address: str) -> Link:
        return self.world.connect(user_id, address, {})[0]

    def _send(self, link: Link, fields: dict[str, Any], plan: Plan = NO_FAULT) -> Operation:
        return self.world.send(link, fields, plan)

    def _send_first(
        self,
        user_id: str | None,
        address: str,
        fields: dict[str, Any],
        way: str,
        plan: Plan,
        repeat: bool,
    ) -> None:
        """Send a command on a new connection."""
        if way == "frame":
            link = self._connect(user_id, address)
            self._send_frame(link, fields, plan, repeat)
            return
        self._begin_step()
        expected = self._must_succeed(None, user_id, fields)
        _, operation = self.world.connect(user_id, address, fields, plan, OPENS[way])
        if expected and operation.is_done and not operation.had_fault:
            allowed = {200, 429} if fields["action"] == "joinSession" else {200}
            assert operation.answer["statusCode"] in allowed, operation.answer
        self._check()

    def _send_frame(self, link: Link, fields: dict[str, Any], plan: Plan, repeat: bool) -> None:
        self._begin_step()
        expected = self._must_succeed(link, link.user_id, fields)
        operation = self._send(link, fields, plan)
        if not operation.is_done or operation.had_fault:
            self._check()
            return
        if expected:
            allowed = SUCCESSES
            refused = operation.answer.get("code") == "RATE_LIMIT_EXCEEDED"
            if not (refused and fields["action"] == "joinSession"):
                assert operation.answer["type"] in allowed, operation.answer
        self._check()
        if repeat and link.is_open and not self.world.operations:
            self._repeat(link, fields, operation.answer)

    def _repeat(self, link: Link, fields: dict[str, Any], first: dict[str, Any]) -> None:
        """Handle the same event again, and check that nothing changes and nothing is sent."""
        records, received = self._records(), self._received_by_others(link)
        again = self.world.send(link, fields, ticks=False).answer
        assert self._records() == records, f"statement 5: {fields['action']}"
        assert self._received_by_others(link) == received, "statement 5: a notice was sent twice"
        if fields["action"] == "refreshConnection" and first["type"] != "error":
            assert _without_time(again) == _without_time(first), "refreshing is idempotent"
        seen["repeated"] += 1
        self._check()

    def _received_by_others(self, link: Link) -> dict[str, int]:
        return {key: len(it.inbox) for key, it in self.world.links.items() if it is not link}

    def _records(self) -> tuple[Any, Any, Any]:
        """Return a copy of the tables without attributes that a repeated event can change.

        Each heartbeat and each repeated caption counts towards its limit. A claim that expires
        while the first event waits is taken over by the second.
        """
        ignored = (
            "changes",
            "driftNote",
            "statusToken",
            "refusals",
            "returnClaim",
            "returnClaimedAt",
            "statusDue",
            *(f"t{number}" for number in range(9)),
        )
        sessions, connections = (
            {
                key: {
                    name: it
                    for name, it in item.items()
                    if name not in ignored and not name.startswith(REPEATED)
                }
                for key, item in items.items()
            }
            for items in (self.world.sessions(), self.world.connections())
        )
        return sessions, connections, self.world.stored_captions()

    def _must_succeed(self, link: Link | None, user_id: str | None, fields: dict[str, Any]) -> bool:
        """Return whether a command must succeed if it meets no fault."""
        session = self.world.sessions().get(fields.get("sessionId", ""))
        if self.world.operations or session is None or not self.world.is_session_open(session):
            return False
        if link is not None and (link.membership or link.superseded or link.ended):
            return False
        records = self.world.connections()
        record = records.get(link.connection_id, {}) if link else {}
        if record and is_present(record):
            return False
        if "supersededBy" in record:
            return False
        if fields.get("role") == "speaker":
            return bool(session["speakerUserId"] == user_id)
        if fields["action"] == "joinSession":
            allowed = {session["inviteCode"]}
            if session["admission"] == "open":
                allowed.add(None)
            code_is_right = fields.get("inviteCode") in allowed
            return code_is_right and int(session["listenerCount"]) < MAX_LISTENERS
        old = self.world.links.get(fields.get("connectionId", ""))
        return (
            old is not None
            and old is not link
            and old.is_participant("listener", session["sessionId"])
            and old.connection_id not in self.world.lost
            and not self.world.is_superseded(old, records)
        )

    def _disconnect(self, closing: Closing, plan: Plan) -> Operation:
        world, link = self.world, closing.link
        sessions = world.sessions()
        operation = world.disconnect(closing, plan)
        if link.superseded:
            seen["a superseded connection closed"] += 1
            watched = ("listenerCount", "status", "graceEndsAt", "expiresAt")
            after = world.sessions()
            for session_id in link.superseded:
                for name in watched:
                    was, now = (it.get(session_id, {}).get(name) for it in (sessions, after))
                    assert was == now, f"the end of a superseded connection changed {name}"
        is_clean = closing.code in (1000, 1005) and not closing.is_by_service
        is_lost = link.connection_id in world.lost
        if is_clean and not is_lost and operation.is_done and not operation.had_fault:
            for session_id, session in sessions.items():
                is_current = session["speakerConnectionId"] == link.connection_id
                # Otherwise an earlier $disconnect started the grace and crashed.
                is_first = session.get("graceReason") != "speakerEnded"
                if is_current and is_first and world.is_session_open(session):
                    status = world.sessions()[session_id]["status"]
                    assert status == "ended", "a clean close ends the session after its grace"
        return operation

    def _settle(self, are_events_lost: bool) -> None:
        self._begin_step()
        self._drain(are_events_lost)
        for _ in range(2):
            self.world.pass_time_open(60)
            self.world.sweep()
            self._check()
        self._check_settled()
        self._beat()
        for _ in range(3):
            self.world.pass_time_open(60)
            self.world.sweep()
            self._check()
        self._check_settled()
        self._check_no_leftovers()
        seen["settled"] += 1

    def _finish_operations(self) -> None:
        for operation in list(self.world.operations):
            self.world.resume(operation, NO_FAULT)
            self._check()

    def _drain(self, are_events_lost: bool) -> None:
        world = self.world
        self._finish_operations()
        for link in world.links.values():
            too_old = self.clock() - link.opened_at > CONNECTION_SECONDS - SETTLING_SECONDS
            if link.is_open and too_old:
                world.close(link, 1001, 0)
            elif link.state is State.OPENING:
                link.state = State.CLOSED
        events, world.closings = world.closings, []
        outcomes, world.outcomes = world.outcomes, []
        if not are_events_lost:
            for closing in events:
                self._disconnect(closing, NO_FAULT)
                self._check()
            for outcome in outcomes:
                world.deliver(outcome)
                self._check()
        for _ in range(1 + LONGEST_SILENCE_SECONDS // BEAT_SECONDS):
            world.pass_time_open(BEAT_SECONDS)
            self._beat()

    def _beat(self) -> None:
        """Send a heartbeat from each live client."""
        for link in self._open_links():
            self.world.step += 1
            self.world.send(link, {"action": "heartbeat"})
            self._check()
        self.world.outcomes = []

    # Invariants.

    def _check(self) -> None:
        """Check the invariants that hold at every moment."""
        world = self.world
        assert not world.violations, world.violations
        world.record_absences()
        sessions, connections = world.sessions(), world.connections()
        for session_id, session in sessions.items():
            listeners = int(session["listenerCount"])
            assert 0 <= listeners <= MAX_LISTENERS, f"statement 2: {listeners}"
            seen["full"] += listeners == MAX_LISTENERS
            if not world.is_session_open(session):
                world.ended_sessions.add(session_id)
                continue
            self._check_listeners(session_id, listeners, connections)
            self._check_speakers(session, connections)
        for session_id, before in self.before.items():
            self._check_end(before, sessions.get(session_id))
        self.before = sessions

    def _check_listeners(self, session_id: str, count: int, connections: dict[str, Any]) -> None:
        live = [
            link
            for link in self._open_links()
            if link.is_participant("listener", session_id)
            and not self.world.is_superseded(link, connections)
            and link.connection_id not in self.world.lost
        ]
        for link in live:
            record = connections.get(link.connection_id)
            assert record is not None, "a live listener has lost its record"
            assert record["sessionId"] == session_id, "a live listener has another's record"
            assert is_present(record), "a live listener is no longer a participant"
        assert count >= len(live), f"{len(live)} live listeners, and {count} counted"

    def _check_speakers(self, session: dict[str, Any], connections: dict[str, Any]) -> None:
        current = self.world.links[session["speakerConnectionId"]]
        assert current.user_id == session["speakerUserId"], "another user is the speaker"
        is_back = session["sessionId"] in current.superseded
        assert not is_back, "a superseded connection is the speaker's again"
        for link in self._open_links():
            if not link.is_participant("speaker", session["sessionId"]):
                continue
            if link is not current:
                seen["a superseded speaker has not been notified yet"] += 1
                continue
            if link.connection_id in self.world.lost:
                seen["a lost speaker has not been notified yet"] += 1
                continue
            assert "graceEndsAt" not in session, "statement 3: a live speaker's session has a grace"
            record = connections.get(link.connection_id, {})
            assert record.get("sessionId") == session["sessionId"], "a live speaker has no record"
            assert is_present(record), "a live speaker is no longer a participant"

    def _check_end(self, before: dict[str, Any], after: dict[str, Any] | None) -> None:
        """Check the reason of a session that has ended since the last check."""
        if before["status"] == "ended" or after is None or after["status"] != "ended":
            return
        reason = after["endReason"]
        seen[f"ended: {reason}"] += 1
        speaker = self.world.links[after["speakerConnectionId"]]
        if reason == "speakerLost":
            is_there = speaker.is_participant("speaker", after["sessionId"])
            assert not is_there or speaker.connection_id in self.world.lost, "statement 3"
        elif reason == "speakerEnded":
            assert speaker.has_asked_to_end, "statement 3: no client requested this end"
        else:
            assert float(after["expiresAt"]) <= self.clock(), "ended before its time"

    def _check_settled(self) -> None:
        """Check statement 1."""
        world = self.world
        connections = world.connections()
        for session_id, session in world.sessions().items():
            if not world.is_session_open(session):
                continue
            present = world.listeners_of(session_id)
            assert all(world.links[each].is_open for each in present), "a dead listener is left"
            counted = int(session["listenerCount"])
            assert counted == len(present), f"statement 1: {counted}, not {len(present)}"
            languages = Counter(connections[each]["targetLanguage"] for each in present)
            per_language = {
                name.removeprefix(LANGUAGE_COUNT): int(count)
                for name, count in session.items()
                if name.startswith(LANGUAGE_COUNT) and int(count)
            }
            assert per_language == languages, f"statement 1: {per_language}, not {languages}"
            believed = {
                link.connection_id
                for link in self._open_links()
                if link.is_participant("listener", session_id)
            }
            assert believed == set(present), "statement 1: clients and records differ"
            if not world.had_fault:
                self._check_last_status(session, believed)
            speaker = world.links[session["speakerConnectionId"]]
            if speaker.is_participant("speaker", session_id):
                world.step += 1
                status = world.send(speaker, {"action": "getSessionStatus"}).answer
                assert status["listenerCount"] == counted
                assert status["languages"] == languages
                seen["status checked"] += 1

    def _check_last_status(self, session: dict[str, Any], listeners: set[str]) -> None:
        """Check the status that listeners last received, if no fault could have lost a notice."""
        status = "interrupted" if "graceEndsAt" in session else session["status"]
        for link in (self.world.links[each] for each in listeners):
            if link.last_status is not None:
                assert link.last_status == status, "a listener received another status"
                seen["a listener knows the status"] += 1

    def _check_no_leftovers(self) -> None:
        world = self.world
        sessions = world.sessions()
        for session in sessions.values():
            speaker = world.links[session["speakerConnectionId"]]
            assert speaker.is_open, "a session without a live speaker is left"
            assert world.is_session_open(session), "an ended session is left"
        for key, record in world.connections().items():
            if not is_present(record):
                # It is in no list, and only refreshes read it until it expires.
                assert float(record["ttl"]) <= max(
                    self.clock() + 600, float(record["takenAt"]) / 1000 + 7800
                )
                continue
            if record["role"] == "speaker" and not self._is_current(key):
                # A speaker's item is in no list of its session, so an item that a crashed or
                # failed refresh leaves stays until it expires.
                seen["a speaker's record is left until it expires"] += 1
                assert float(record["ttl"]) <= float(record["takenAt"]) / 1000 + 7800
                continue
            assert record["sessionId"] in sessions, f"a {record['role']}'s record is left"
            assert world.links[key].is_open, f"a dead {record['role']}'s record is left"

    def _is_current(self, connection_id: str) -> bool:
        return any(
            session["speakerConnectionId"] == connection_id
            for session in self.world.sessions().values()
        )


def join_command(session_id: str, language: str, code: str | None) -> dict[str, Any]:
    fields = {"action": "joinSession", "sessionId": session_id, "targetLanguage": language}
    return fields if code is None else {**fields, "inviteCode": code}


def _refresh_listener(session_id: str, language: str, old_id: str) -> dict[str, Any]:
    return {
        "action": "refreshConnection",
        "role": "listener",
        "sessionId": session_id,
        "targetLanguage": language,
        "connectionId": old_id,
    }


def _refresh_speaker(session_id: str) -> dict[str, Any]:
    return {"action": "refreshConnection", "role": "speaker", "sessionId": session_id}


def _without_time(message: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in message.items() if name != "timestamp"}
