"""The rules of the state machine about captions."""

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import rule

from chalicelib.recovery import SETTLED_SECONDS
from chalicelib.store.captions import KEPT_CAPTIONS
from chalicelib.store.items import LAST_NUMBER
from tests.properties.captions import SOURCE_LANGUAGE, Feed
from tests.properties.faults import Fault, Plan
from tests.properties.machine import (
    RACERS,
    Broadcasts,
    addresses,
    choose,
    join_command,
    languages,
    picks,
    plans,
    users,
)
from tests.properties.world import CAPTIONS_KEPT_SECONDS, Link, is_present, seen

retries = st.sampled_from([None, None, 0, 0, 1, 5])
"""How many captions ago a repeated one was published, or None for none."""


class CaptionedBroadcasts(Broadcasts):
    """Broadcasts with captions, which the speaker and a pipeline publish."""

    @rule(pick=picks, again=retries, plan=plans, repeat=st.booleans())
    def send_caption(self, pick: int, again: int | None, plan: Plan, repeat: bool) -> None:
        """Send a caption, mostly as a session's speaker."""
        session_id = self._broadcast(pick)
        speaker = self.world.links[self.world.sessions()[session_id]["speakerConnectionId"]]
        link = speaker if speaker.is_open else self._some_link(pick, "speaker")
        if link:
            fields = self.world.captions.phrase(session_id, again=again)
            self._send_frame(link, fields, plan, repeat)

    @rule(
        pick=picks,
        language=languages,
        new=st.sampled_from([0, 1, 1, 2, 9]),
        again=retries,
        plan=plans,
        repeat=st.booleans(),
    )
    def publish(
        self, pick: int, language: str, new: int, again: int | None, plan: Plan, repeat: bool
    ) -> None:
        """Publish captions as a pipeline, and possibly make the same request again.

        After a crash, Lambda makes it again.
        """
        self._begin_step()
        world, session_id = self.world, self._broadcast(pick)
        heard = [world.captions.place_of(each) for each in world.listeners_of(session_id)]
        if pick % 4 and heard and (place := choose(pick, heard)):
            language = place[1]
        request = world.captions.request(session_id, language, new=new, again=again)
        operation = world.publish(request, plan)
        is_new = again is None and not plan.is_stale
        self._check()
        if operation.is_dead and repeat:
            seen["published again after a crash"] += 1
            operation, is_new = world.publish(request), False
            self._check()
        if operation.had_fault or not operation.is_done:
            return
        self._check_published(session_id, language, operation.answer, is_new)
        if repeat and not world.operations:
            self._publish_again(request, operation.answer)

    def _publish_again(self, request: dict[str, Any], answer: dict[str, Any]) -> None:
        """Make the same request again, and check that nothing changes and nothing is posted."""
        records, posted = self._records(), set(self.world.captions.posted)
        again = self.world.publish(request).answer
        assert again.get("seqs") == answer.get("seqs"), "a repeated caption got another number"
        assert self._records() == records, "statement 5: publish"
        assert self.world.captions.posted == posted, "a repeated caption was delivered again"
        seen["published again"] += "seqs" in answer

    def _check_published(
        self, session_id: str, language: str, answer: dict[str, Any], is_new: bool
    ) -> None:
        """Check that captions are stored and, if they are new, that each listener got them."""
        world, place = self.world, (session_id, language)
        seqs = set(answer.get("seqs", ()))
        assert seqs <= world.stored_captions().get(place, {}).keys(), "a caption isn't stored"
        for each in world.listeners_of(session_id) if is_new else ():
            if world.links[each].is_open and world.captions.place_of(each) == place:
                posts = {(each, *place, seq) for seq in seqs}
                assert posts <= world.captions.posted, "a listener got no caption"
                seen["a caption reached a listener"] += bool(seqs)

    @rule(pick=picks, plan=plans, repeat=st.booleans())
    def get_captions(self, pick: int, plan: Plan, repeat: bool) -> None:
        if holders := [link for link in self._open_links() if link.is_participant("listener")]:
            link = choose(pick, holders)
            feed = self.world.captions.feeds.get(link.connection_id)
            fields = {"action": "getCaptions", "afterSeq": feed.last if feed else 0}
            self._send_frame(link, fields, plan, repeat)

    @rule(
        pick=picks,
        caption=st.sampled_from(["caption by speaker", "translation"]),
        at=st.integers(0, 8),
        events=st.lists(st.tuples(st.sampled_from(RACERS), plans), min_size=1, max_size=3),
        plan=plans,
    )
    def post_slowly(
        self, pick: int, caption: str, at: int, events: list[tuple[str, Plan]], plan: Plan
    ) -> None:
        """Run other events for a session while a caption is being published."""
        self._begin_step()
        session_id = self._broadcast(pick)
        slow = self._perform(caption, session_id, pick, Plan(Fault.SLOW, at))
        self._check()
        for event, each_plan in events if slow else ():
            self._perform(event, session_id, pick + 1, each_plan)
            self._check()
            self.world.kill_late()
        if slow and slow.is_running:
            self.world.resume(slow, plan)
            self._check()

    def _broadcast(self, pick: int) -> str:
        """Choose an open session with listeners, or begin one."""
        world, sessions = self.world, self.world.sessions()
        found = [
            it
            for it in world.known_ids
            if world.is_session_open(sessions.get(it)) and world.listeners_of(it)
        ]
        if found:
            return choose(pick, found)
        speaker = self._connect(users[pick % 2], addresses[0])
        self._send(speaker, {"action": "createSession", "sourceLanguage": "en"})
        session_id = world.session_ids[-1]
        for language in ("es", "es", "en"):
            code = self._code(session_id, "right")
            self._send(self._connect(None, addresses[1]), join_command(session_id, language, code))
        self._check()
        return session_id

    def _settle(self, are_events_lost: bool) -> None:
        self._begin_step()
        self._finish_operations()
        self._check_feeds()
        super()._settle(are_events_lost)

    def _check_feeds(self) -> None:
        """Check statement 7 for each listener, after its client has asked for what it misses."""
        self.world.pass_time_open(SETTLED_SECONDS + 1)
        sessions, connections = self.world.sessions(), self.world.connections()
        for link in self._open_links():
            record = connections.get(link.connection_id, {})
            session = sessions.get(record.get("sessionId", ""))
            if "targetLanguage" not in record or not is_present(record):
                continue
            if session is not None and self.world.is_session_open(session):
                key = record["targetLanguage"]
                name = LAST_NUMBER + ("source" if key == SOURCE_LANGUAGE else key)
                self._catch_up(link, record, int(session.get(name, 0)))

    def _catch_up(self, link: Link, record: dict[str, Any], last: int) -> None:
        feeds, place = self.world.captions.feeds, (record["sessionId"], record["targetLanguage"])
        feed = feeds.get(link.connection_id)
        if feed is None or (feed.session_id, feed.language) != place:
            # Its client has not received the outcome, and begins with the first caption.
            seen["a client without a feed"] += 1
            feed = feeds[link.connection_id] = Feed(*place, 0, 0)
        while True:
            self.world.step += 1
            after_seq = feed.last
            fields = {"action": "getCaptions", "afterSeq": after_seq}
            answer = self.world.send(link, fields).answer
            assert answer["type"] == "captions", answer
            self._check_missed(place, after_seq, answer, last)
            if not answer["hasMore"]:
                break
            seen["an answer was full"] += 1
        assert feed.last == last, "statement 7: a client doesn't know of a caption"
        assert sorted([*feed.had, *feed.missed]) == [*range(feed.start + 1, last + 1)]
        seen["a client has each caption"] += not feed.missed
        seen["a client knows what it has missed"] += bool(feed.missed)

    def _check_missed(
        self, place: tuple[str, str], after_seq: int, answer: dict[str, Any], last: int
    ) -> None:
        """Check that an answer contains each caption that is kept."""
        numbers = range(after_seq + 1, answer["lastSeq"] + 1)
        missed = set(numbers) - {item["seq"] for item in answer["items"]}
        kept_since_ms = (self.clock() - CAPTIONS_KEPT_SECONDS) * 1000
        kept = {
            seq
            for seq, stored_at_ms in self.world.stored_captions().get(place, {}).items()
            if stored_at_ms >= kept_since_ms and seq > last - KEPT_CAPTIONS
        }
        assert not missed & kept, "statement 7: a kept caption counts as missed"
        assert answer["hasMore"] or answer["lastSeq"] == last, (
            f"statement 7: an answer ends at {answer['lastSeq']}, not at {last}"
        )
