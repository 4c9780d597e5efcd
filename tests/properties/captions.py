"""A model of captions: the numbers they have, and those that clients know."""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Any, ClassVar

from chalicelib.models import SOURCE
from chalicelib.recovery import SETTLED_SECONDS
from chalicelib.store.caption_numbers import KEPT_IDS
from chalicelib.store.items import LAST_NUMBER
from tests.properties.faults import THROTTLED_SECONDS, Operation

if TYPE_CHECKING:
    from tests.properties.world import Link

SOURCE_LANGUAGE = "en"
"""The source language of all sessions."""

WORDS = "marked words"
"""A part of each text. MARK in it reveals a text in the log."""

LONG_EVERY = 4
"""Each fourth text has the longest message, so a few of them exceed the size of an answer."""

CERTAINLY_RECENT_SECONDS = SETTLED_SECONDS - 2 * THROTTLED_SECONDS
"""The age of numbers that must not count as missed, less the time until they are first seen."""

Place = tuple[str, str] | None
"""A listener's session and language. None if a connection is no listener."""


class InlineBackground:
    """A call in the background, which runs in the calling thread, at its start or at its end."""

    is_first: ClassVar[bool] = True

    def __init__(self, call: Callable[[], None]) -> None:
        self._call: Callable[[], None] | None = call
        self._error: Exception | None = None
        if self.is_first:
            self._run()

    def _run(self) -> None:
        call, self._call = self._call, None
        try:
            if call is not None:
                call()
        except Exception as error:
            self._error = error

    def finish(self) -> Exception | None:
        self._run()
        return self._error


@dataclass
class Feed:
    """The captions of one language that a client has, in order and each once.

    Attributes:
        session_id: The session's ID.
        language: The language.
        start: The number of the last caption before the client came.
        last: The number up to which the client has each caption, or knows that it has missed it.
        had: The numbers of the captions that it has, in their order.
        missed: The numbers of those that it has missed.
    """

    session_id: str
    language: str
    start: int
    last: int
    had: list[int] = field(default_factory=list)
    missed: set[int] = field(default_factory=set)
    _early: set[int] = field(default_factory=set)

    def copy(self) -> "Feed":
        """Return the same knowledge for another connection of the client."""
        return Feed(
            self.session_id,
            self.language,
            self.start,
            self.last,
            [*self.had],
            {*self.missed},
            {*self._early},
        )

    def take(self, seq: int) -> None:
        """Take a caption. One that comes early waits for those before it."""
        if seq > self.last:
            self._early.add(seq)
        self._deliver_early()

    def take_answer(self, answer: dict[str, Any]) -> None:
        """Take the answer to `getCaptions`, which accounts for all captions up to its `lastSeq`."""
        self._early |= {item["seq"] for item in answer["items"] if item["seq"] > self.last}
        self._deliver_early()
        while self.last < answer["lastSeq"]:
            self.last += 1
            self.missed.add(self.last)
            self._deliver_early()

    def _deliver_early(self) -> None:
        while self.last + 1 in self._early:
            self.last += 1
            self._early.remove(self.last)
            self.had.append(self.last)


class CaptionRecord:
    """All captions that any client or pipeline knows of, and the feed of each connection."""

    def __init__(
        self, clock: Callable[[], float], violations: list[str], seen: Counter[str]
    ) -> None:
        self._clock = clock
        self._violations = violations
        self._seen = seen
        self.feeds: dict[str, Feed] = {}
        self.given: dict[tuple[str, str], dict[str, int]] = defaultdict(dict)
        """The last known number of each caption ID, by session and language."""
        self._by_number: dict[tuple[str, str, int], str] = {}
        self._texts: dict[tuple[str, str, int], str] = {}
        self.published: dict[tuple[str, str], list[str]] = defaultdict(list)
        """The caption IDs of all commands and requests, by session and language."""
        self._ids = count(1)
        self.posted: set[tuple[str, str, str, int]] = set()
        """The connections, sessions, languages and numbers of posts that arrived."""
        self._seen_at: dict[tuple[str, str], list[float]] = defaultdict(list)
        """When each number was first seen, by session and language."""
        self._places: dict[str, list[tuple[int, Place]]] = defaultdict(list)
        """Each connection's places, with the step since which it had each."""

    # Commands and requests.

    def phrase(self, session_id: str, *, again: int | None = None) -> dict[str, Any]:
        """Return the command that sends a new phrase, or one of the last ones again."""
        (caption_id,) = self._choose_ids(session_id, SOURCE_LANGUAGE, int(again is None), again)
        return {"action": "sendCaption", "captionId": caption_id, "text": text_of(caption_id)}

    def request(
        self, session_id: str, language: str, *, new: int, again: int | None = None
    ) -> dict[str, Any]:
        """Return a pipeline's request for new captions, after one of the last ones again."""
        return {
            "sessionId": session_id,
            "language": language,
            "captions": [
                {"captionId": each, "text": text_of(each), "startedAt": 1_800_000_000_000}
                for each in self._choose_ids(session_id, language, new, again)
            ],
        }

    def _choose_ids(self, session_id: str, language: str, new: int, again: int | None) -> list[str]:
        published = self.published[session_id, language]
        earlier = [] if again is None or not published else [published[-1 - again % len(published)]]
        ids = [f"marked-caption-{next(self._ids)}" for _ in range(new or not earlier)]
        published += ids
        return earlier + ids

    # What clients and pipelines receive.

    def receive(self, link: "Link", message: dict[str, Any]) -> None:
        """Update a client's feed from a message."""
        match message["type"]:
            case "sessionJoined":
                self._start(link, message["sessionId"], message)
            case "connectionRefreshComplete" if message["role"] == "listener":
                self._continue(link, message["sessionId"], message)
            case "languageChanged" if link.membership:
                self._start(link, link.membership.session_id, message)
            case "caption":
                self._note_caption(message)
                feed = self.feeds.get(link.connection_id)
                if feed and _is_of(feed, message["sessionId"], message["language"]):
                    feed.take(message["seq"])

    def _start(self, link: "Link", session_id: str, outcome: dict[str, Any]) -> None:
        last = outcome["lastSeq"]
        self.feeds[link.connection_id] = Feed(session_id, outcome["targetLanguage"], last, last)

    def _continue(self, link: "Link", session_id: str, outcome: dict[str, Any]) -> None:
        """Go on with the feed of this connection, or of the one that it replaces."""
        for each in (link.connection_id, link.replaces):
            feed = self.feeds.get(each or "")
            if feed and _is_of(feed, session_id, outcome["targetLanguage"]):
                self.feeds[link.connection_id] = feed.copy()
                self._seen["a feed goes on after a refresh"] += each == link.replaces
                return
        self._start(link, session_id, outcome)

    def receive_missing(self, link: "Link", answer: dict[str, Any], asked: Feed | None) -> None:
        """Update the feed that had asked for the captions that it misses, if it still exists."""
        for item in answer["items"]:
            self._note_caption(item)
        feed = self.feeds.get(link.connection_id)
        if feed is not None and feed is asked and feed.language == answer["targetLanguage"]:
            had, missed = len(feed.had), len(feed.missed)
            feed.take_answer(answer)
            if self._is_recent(feed.session_id, feed.language, max(feed.missed, default=0)):
                self._violations.append("statement 7: a caption counts as missed too early")
            self._seen["a caption was recovered"] += len(feed.had) > had
            self._seen["a caption was missed"] += len(feed.missed) > missed

    def note_answer(self, fields: Mapping[str, Any], answer: dict[str, Any]) -> None:
        """Check the answer to a command, whether the client receives it or not."""
        if answer["type"] == "captionAccepted":
            self._note_number(
                answer["sessionId"], SOURCE_LANGUAGE, answer["captionId"], answer["seq"]
            )
        if answer["type"] == "captions":
            counted = len(answer["items"]) + answer["missed"]
            if counted != answer["lastSeq"] - fields["afterSeq"]:
                self._violations.append("statement 7: an answer doesn't account for each caption")

    def note_published(self, request: dict[str, Any], answer: dict[str, Any]) -> None:
        """Check the answer to a pipeline's request."""
        self._seen[f"publish: {answer.get('error', {}).get('code', 'done')}"] += 1
        for caption, seq in zip(request["captions"], answer.get("seqs", ()), strict=False):
            self._note_number(request["sessionId"], request["language"], caption["captionId"], seq)

    def _note_caption(self, caption: dict[str, Any]) -> None:
        session_id, language, seq = (caption[it] for it in ("sessionId", "language", "seq"))
        self._note_number(session_id, language, caption["captionId"], seq)
        if self._texts.setdefault((session_id, language, seq), caption["text"]) != caption["text"]:
            self._violations.append("statement 7: a number has two texts")

    def _note_number(self, session_id: str, language: str, caption_id: str, seq: int) -> None:
        """Check that a number has one caption, and a caption one number while it is remembered."""
        if self._by_number.setdefault((session_id, language, seq), caption_id) != caption_id:
            self._violations.append("statement 7: a number was given to two captions")
        before = self.given[session_id, language].get(caption_id, seq)
        if before != seq:
            self._seen["a forgotten caption ID got another number"] += 1
            if abs(seq - before) <= KEPT_IDS:
                self._violations.append("statement 7: a caption got two numbers")
        self.given[session_id, language][caption_id] = max(seq, before)

    def note_numbers(self, sessions: Mapping[str, Mapping[str, Any]]) -> None:
        """Store when each number was first seen."""
        for session_id, session in sessions.items():
            for name, last in session.items():
                if name.startswith(LAST_NUMBER):
                    language = name.removeprefix(LAST_NUMBER).replace(SOURCE, SOURCE_LANGUAGE)
                    seen_at = self._seen_at[session_id, language]
                    seen_at += [self._clock()] * (int(last) - len(seen_at))

    def _is_recent(self, session_id: str, language: str, seq: int) -> bool:
        """Return whether a number was given a moment ago, and its caption can be stored later."""
        seen_at = self._seen_at[session_id, language]
        if not 0 < seq <= len(seen_at):
            return False
        return self._clock() - seen_at[seq - 1] < CERTAINLY_RECENT_SECONDS

    # Who may receive a caption.

    def note_places(self, step: int, places: dict[str, Place]) -> None:
        """Store the listeners' sessions and languages at the end of an event."""
        for connection_id in self._places.keys() | places.keys():
            history, place = self._places[connection_id], places.get(connection_id)
            if not history or history[-1][1] != place:
                history.append((step, place))

    def place_of(self, connection_id: str) -> Place:
        history = self._places[connection_id]
        return history[-1][1] if history else None

    def check_receiver(self, link: "Link", caption: dict[str, Any], operation: Operation) -> None:
        """Check that a caption goes to a listener of its language, and not after the end."""
        session_id, place = caption["sessionId"], (caption["sessionId"], caption["language"])
        post = (link.connection_id, *place, caption["seq"])
        if post in self.posted:
            self._violations.append("a caption was delivered twice")
        self.posted.add(post)
        if link.ended[session_id]:
            self._violations.append("a caption came after sessionEnded")
        history = self._places[link.connection_id]
        if operation.was_stale or not history:
            return
        before = [it for step, it in history if step < operation.step][-1:]
        since = [it for step, it in history if step >= operation.step]
        if place not in before + since:
            self._violations.append("a caption came to a connection that isn't its listener")


def text_of(caption_id: str) -> str:
    """Return the text of a caption, which a retry repeats."""
    is_long = int(caption_id.rpartition("-")[2]) % LONG_EVERY == 0
    text = f"{WORDS} of {caption_id}"
    return text.ljust(1000, "\N{BELL}") if is_long else text


def _is_of(feed: Feed, session_id: str, language: str) -> bool:
    return (feed.session_id, feed.language) == (session_id, language)
