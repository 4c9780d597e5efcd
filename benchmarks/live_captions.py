"""The way of captions through the local server, from the speaker's call to the listeners' events.

Translations come from the stand-in of the server, which marks a text with its language. Nothing is
spoken.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final

from bench import report
from bench.report import Row, Target
from broadcast_sessions_client import Caption, Listener, Speaker
from tests.stories.target import HIGH_LIMITS, local_server
from tests.stories.target import Target as Served

PHRASES: Final = 100
LISTENERS: Final = 50
MINUTE_SECONDS: Final = 60
INTERVAL_SECONDS: Final = 0.1
WAIT_SECONDS: Final = 10


def measure() -> list[Row]:
    """Measure and print.

    Raises:
        TimeoutError: A caption didn't arrive.
    """
    report.print_section("Captions on the local server")
    settings = {**HIGH_LIMITS, "RATE_LIMIT_CAPTIONS_PER_MIN": "100000", "SPEECH": "off"}
    with local_server(**settings) as target:
        return [*asyncio.run(_measure_screen(target)), *asyncio.run(_measure_minute(target))]


class Screen:
    """One listener, with the time at which each caption's event came."""

    def __init__(self, listener: Listener) -> None:
        """Read the events of a listener that has joined."""
        self.shown_at: dict[int, float] = {}
        self._listener = listener
        self._changed = asyncio.Condition()

    async def read(self) -> None:
        """Read events until the session ends."""
        async for event in self._listener:
            if isinstance(event, Caption):
                async with self._changed:
                    self.shown_at[event.seq] = time.perf_counter()
                    self._changed.notify_all()

    async def until_shown(self, seq: int) -> float:
        """Wait for a caption, and return when its event came."""
        async with asyncio.timeout(WAIT_SECONDS), self._changed:
            await self._changed.wait_for(lambda: seq in self.shown_at)
        return self.shown_at[seq]


@asynccontextmanager
async def _hall(
    target: Served, language: str, listeners: int
) -> AsyncIterator[tuple[Speaker, list[Screen]]]:
    """Let a speaker create a session in English, and listeners of one language join it."""
    token = target.tokens()["IdToken"]
    async with AsyncExitStack() as stage, asyncio.TaskGroup() as readers:
        speaker = await stage.enter_async_context(Speaker(target.url, token=token))
        session = await speaker.create("en")
        screens = []
        for _ in range(listeners):
            listener = await stage.enter_async_context(
                Listener(
                    target.url, session=session.id, language=language, invite=session.invite_code
                )
            )
            screens.append(Screen(listener))
            readers.create_task(screens[-1].read())
        yield speaker, screens
        await speaker.end()


async def _measure_screen(target: Served) -> list[Row]:
    """Measure a caption's way to a Spanish listener, one phrase after the other."""
    row = Row("from sendCaption to a Spanish screen", target=Target("median", "at most", 50))
    async with _hall(target, "es", 1) as (speaker, [screen]):
        for count in range(-5, PHRASES):
            started = time.perf_counter()
            accepted = await speaker.send_caption("Good morning, and welcome.")
            shown_at = await screen.until_shown(accepted.seq)
            if count >= 0:
                row.figures.append((shown_at - started) * 1000)
    report.print_table(f"one phrase at a time, ms ({PHRASES} phrases)", [row])
    return [row]


async def _measure_minute(target: Served) -> list[Row]:
    """Measure ten captions a second for a minute. Without a backlog, the delay doesn't grow."""
    count = round(MINUTE_SECONDS / INTERVAL_SECONDS)
    delays: list[float] = []
    async with _hall(target, "en", LISTENERS) as (speaker, screens), asyncio.TaskGroup() as tasks:
        started = time.perf_counter()

        async def send(due_at: float, text: str) -> None:
            accepted = await speaker.send_caption(text)
            shown = await asyncio.gather(*(each.until_shown(accepted.seq) for each in screens))
            delays.append((max(shown) - due_at) * 1000)

        for position in range(count):
            due_at = started + position * INTERVAL_SECONDS
            await asyncio.sleep(due_at - time.perf_counter())
            tasks.create_task(send(due_at, f"Phrase {position}."))
    sixth = count // 6
    first = Row("first ten seconds", figures=delays[:sixth])
    last = Row(
        "last ten seconds",
        figures=delays[-sixth:],
        yardstick=first,
        target=Target("ratio", "at most", 1.5),
    )
    last.lost = count - len(delays)
    title = (
        f"{1 / INTERVAL_SECONDS:g} captions a second to {LISTENERS} listeners for "
        f"{MINUTE_SECONDS} s, from when one is due to the last screen, ms"
    )
    report.print_table(title, [first, last])
    return [first, last]
