"""Captions that listeners miss while their networks are gone, under faults."""

import asyncio
from collections.abc import Callable, Iterable
from contextlib import AsyncExitStack
from functools import partial
from itertools import chain, count
from typing import Any, Final, NamedTuple

import pytest

from broadcast_sessions_client import SessionError
from tests.stories import crowd as crowds
from tests.stories.crowd import Crowd
from tests.stories.gate import Gate
from tests.stories.members import Member
from tests.stories.target import HIGH_LIMITS, Target, local_server, until

RATE: Final = 4
"""Two minutes take half a minute. Faster clients would wait too little for a busy machine."""

SETTINGS: Final = {
    "HEARTBEAT_INTERVAL_SECONDS": "120",
    "HEARTBEAT_SETTLED_SECONDS": "120",
    "HEARTBEAT_TIMEOUT_SECONDS": "360",
    "SPEAKER_GRACE_SECONDS": "300",
    **HIGH_LIMITS,
}

FAULTS: Final[dict[str, Any]] = {
    "disconnect_lost_share": 0.3,
    "invocation_twice_share": 0.2,
    "message_throttled_share": 0.02,
    "post_slow_ms": 50,
    "post_slow_share": 0.1,
    "post_throttled_share": 0.1,
}

PHRASES: Final = 60
PAUSE_SECONDS: Final = 1
"""The speaker's pause between two phrases, by the fast clock."""

JOINS_AT_ONCE: Final = 25

LOST_AT_MOST: Final = 6
"""Captions that some listener misses although all are kept. One whose storage takes longer than ten
seconds, by the fast clock, counts as missed until it is stored. That needs a very busy machine.
"""


class Outage(NamedTuple):
    """A time without the network of some listeners.

    Attributes:
        after_phrase: The last phrase before it.
        seconds: How long it lasts at least, by the fast clock.
        cut: Resets the connections, or silences them until the end of the outage.
    """

    after_phrase: int
    seconds: float
    cut: Callable[[Gate], None]


OUTAGES: Final = (
    Outage(3, 30, Gate.silence),
    Outage(6, 60, Gate.reset),
    Outage(9, 90, Gate.silence),
    Outage(12, 120, Gate.reset),
)


class Speech:
    """The phrases of a speaker, one after another.

    Attributes:
        said: The number of phrases that the service has accepted.
    """

    def __init__(self, speaker: Member) -> None:
        self.said = 0
        self._speaker = speaker
        self._changed = asyncio.Condition()

    async def say(self, phrases: Iterable[int]) -> None:
        for number in phrases:
            accepted = await self._send(number)
            assert accepted.seq == number
            async with self._changed:
                self.said = number
                self._changed.notify_all()
            await asyncio.sleep(PAUSE_SECONDS)

    async def until_said(self, phrase: int) -> None:
        async with self._changed:
            await self._changed.wait_for(lambda: self.said >= phrase)

    async def _send(self, number: int) -> Any:
        """Send a phrase, as an application does, which calls again if it fails for now."""
        while True:
            try:
                return await self._speaker.call("send_caption", text_of(number), f"id-{number}")
            except SessionError as error:
                if not error.temporary:
                    raise
                await asyncio.sleep(error.retry_after_seconds or 0)


def text_of(number: int) -> str:
    return f"Phrase {number}"


class Audience(NamedTuple):
    """The listeners that a story begins with.

    Attributes:
        staying: The number of listeners without outages.
        dropped_of_each: The number of listeners in each network with an outage.
        javascript_share: One of so many listeners is in JavaScript.
    """

    staying: int
    dropped_of_each: int
    javascript_share: int


class Hall:
    """The listeners of a story: a part in JavaScript, a part in Spanish, a part with outages.

    Attributes:
        languages: Each listener's language.
        dropped: The listeners whose networks have outages.
    """

    def __init__(self, crowd: Crowd, networks: list[Gate]) -> None:
        self.languages: dict[Member, str] = {}
        self.dropped: list[Member] = []
        self._crowd = crowd
        self._networks = networks

    async def fill(self, audience: Audience) -> None:
        """Let all listeners join."""
        urls = [self._crowd.network.url] * audience.staying
        urls += [each.url for each in self._networks] * audience.dropped_of_each
        for number, url in enumerate(urls):
            client = "python" if (number + 1) % audience.javascript_share else "javascript"
            language = "en" if number % 3 else "es"
            listener = await self._crowd.add_listener(f"{client} {number}", language, url)
            self.languages[listener] = language
            if number >= audience.staying:
                self.dropped.append(listener)
        listeners = list(self.languages)
        for start in range(0, len(listeners), JOINS_AT_ONCE):
            await self._crowd.join(*listeners[start : start + JOINS_AT_ONCE])


async def play(audience: Audience, check: Callable[[Hall], None], crowd: Crowd) -> None:
    async with AsyncExitStack() as stack:
        networks = [
            await stack.enter_async_context(Gate(crowd.target.url).serving()) for _ in OUTAGES
        ]
        hall = Hall(crowd, networks)
        await hall.fill(audience)
        speech = Speech(crowd.speaker)
        await speak_under_faults(crowd.target, speech, networks)
        last_seqs = await asyncio.to_thread(settled_seqs, crowd, speech.said)
        await speak_until_caught_up(crowd, hall, speech, last_seqs)
        await crowd.speaker.call("end")
        await crowd.until_shown("ended")
    check_captions(hall, last_seqs)
    check(hall)


async def speak_under_faults(target: Target, speech: Speech, networks: list[Gate]) -> None:
    await asyncio.to_thread(target.set_faults, **FAULTS)
    try:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(speech.say(range(1, PHRASES + 1)))
            for network, outage in zip(networks, OUTAGES, strict=True):
                tasks.create_task(suffer(network, outage, speech))
    finally:
        await asyncio.to_thread(target.set_faults)


async def suffer(network: Gate, outage: Outage, speech: Speech) -> None:
    """Take a network away, for a time in which its listeners miss at least one phrase."""
    await speech.until_said(outage.after_phrase)
    network.is_there.clear()
    outage.cut(network)
    missed = speech.said + 1
    await asyncio.sleep(outage.seconds)
    await speech.until_said(missed)
    network.reset()
    network.is_there.set()


def settled_seqs(crowd: Crowd, spoken: int) -> dict[str, int]:
    """Wait for the translation of a phrase, and return the last number in each language."""

    def item() -> dict[str, Any]:
        sessions = crowd.target.records("SESSIONS_TABLE")
        return next(it for it in sessions if it["sessionId"]["S"] == crowd.session)

    until(lambda: int(item()["translated:es"]["N"]) >= spoken)
    return {"en": int(item()["captions:source"]["N"]), "es": int(item()["captions:es"]["N"])}


async def speak_until_caught_up(
    crowd: Crowd, hall: Hall, speech: Speech, last_seqs: dict[str, int]
) -> None:
    """Speak until all listeners know all captions: a later one reveals that the last is missing."""
    speaking = asyncio.create_task(speech.say(count(speech.said + 1)))
    await crowd.until(lambda it: it.last_seq >= last_seqs[hall.languages[it]], *hall.languages)
    speaking.cancel()
    await asyncio.wait([speaking])
    assert speaking.cancelled()


def check_captions(hall: Hall, last_seqs: dict[str, int]) -> None:
    """Check that each listener accounts for each caption once, in order, and with its text."""
    texts: dict[tuple[str, int], str] = {}
    for listener, language in hall.languages.items():
        assert {it.language for it in listener.heard} == {language}, str(listener)
        seqs = list(chain.from_iterable(it.seqs for it in listener.heard))
        assert seqs == list(range(1, len(seqs) + 1)), str(listener)
        assert len(seqs) >= last_seqs[language], str(listener)
        for heard in listener.heard:
            if heard.text is not None:
                key = language, heard.seqs[0]
                assert texts.setdefault(key, heard.text) == heard.text, str(listener)
    assert len(set(texts.values())) == len(texts)
    spoken = {seq: text for (language, seq), text in texts.items() if language == "en"}
    assert spoken == {seq: text_of(seq) for seq in spoken}


def missed_by(listeners: Iterable[Member]) -> set[tuple[str, int]]:
    """Return the language and the number of each caption that one of the listeners missed."""
    return {
        (heard.language, seq)
        for listener in listeners
        for heard in listener.heard
        for seq in heard.seqs
        if heard.text is None
    }


@pytest.mark.alone
def test_200_of_500_listeners_recover_the_captions_of_their_outages() -> None:
    run(Audience(300, 50, 25), check_that_captions_are_recovered, kept_seconds=3600)


def check_that_captions_are_recovered(hall: Hall) -> None:
    assert (len(hall.languages), len(hall.dropped)) == (500, 200)
    assert len(missed_by(hall.languages)) <= LOST_AT_MOST


def test_listeners_know_exactly_what_they_have_missed_if_nothing_is_kept() -> None:
    run(Audience(12, 2, 4), check_that_outages_are_gaps, kept_seconds=0)


def check_that_outages_are_gaps(hall: Hall) -> None:
    """Check that listeners have gaps. A translation can come after the end of an outage."""
    assert (len(hall.languages), len(hall.dropped)) == (20, 8)
    for listener in hall.dropped:
        if hall.languages[listener] == "en":
            assert missed_by([listener]), str(listener)


def run(audience: Audience, check: Callable[[Hall], None], *, kept_seconds: int) -> None:
    settings = {**SETTINGS, "CAPTIONS_KEPT_SECONDS": str(kept_seconds)}
    with local_server("--clock-rate", str(RATE), **settings) as target:
        story = partial(play, audience, check)
        crowds.run(story, target, "python", listeners_of_each=0, rate=RATE)
