"""How soon the clients' listeners are back in their session on the local server."""

import asyncio
import signal
import time
from collections.abc import Mapping
from pathlib import Path
from shutil import which
from statistics import median

from bench import report
from bench.report import Row, Target
from bench.servers import NotStarted
from tests.stories import crowd as crowds
from tests.stories.crowd import Crowd
from tests.stories.members import Member
from tests.stories.target import HIGH_LIMITS, local_server
from tests.stories.target import Target as Served

ROUNDS = 5
LISTENERS = 20
"""The number of listeners with each client, which come back at the same time."""

STABLE_SECONDS = 5.5
"""A client that has been in the session for 5 s begins with the shortest wait again."""

PAGE = Path(__file__).parent / "page.mjs"
PAGE_ROUNDS = 20


def measure() -> list[Row]:
    """Measure and print.

    Raises:
        NotStarted: Node is missing.
    """
    report.print_section("The clients' return into a session on the local server")
    if which("node") is None:
        raise NotStarted("node is not on the path")
    with local_server(**HIGH_LIMITS) as target:
        return [*_measure_cuts(target), *_measure_page(target)]


def _measure_cuts(target: Served) -> list[Row]:
    bound = Target("median", "at most", 2)
    rows = {name: Row(f"{name} listeners", target=bound) for name in ("Python", "JavaScript")}

    async def play(crowd: Crowd) -> None:
        for _ in range(ROUNDS):
            await asyncio.sleep(STABLE_SECONDS)
            await _add_cut(crowd, rows)

    crowds.run(play, target, "python", listeners_of_each=LISTENERS, rate=1)
    title = f"from a cut connection to joined, s ({ROUNDS} rounds, medians of {LISTENERS} each)"
    report.print_table(title, [*rows.values()])
    return [*rows.values()]


async def _add_cut(crowd: Crowd, rows: Mapping[str, Row]) -> None:
    marks = {member: len(member.events) for member in crowd.listeners}
    started = time.perf_counter()

    async def time_return(member: Member) -> float:
        await crowd.until(lambda it: it.has_returned(marks[it]), member)
        return time.perf_counter() - started

    crowd.network.reset()
    spent = await asyncio.gather(*map(time_return, crowd.listeners))
    for name, row in rows.items():
        times = zip(crowd.listeners, spent, strict=True)
        row.figures.append(
            median(it for member, it in times if member.name.startswith(name.lower()))
        )


def _measure_page(target: Served) -> list[Row]:
    row = Row("a JavaScript listener", target=Target("median", "at most", 0.2))

    async def play(crowd: Crowd) -> None:
        [*_, listener] = crowd.listeners
        for _ in range(PAGE_ROUNDS):
            row.figures.append(await _time_page(crowd, listener))

    page = ("--import", str(PAGE))
    crowds.run(play, target, "python", *page, listeners_of_each=1, rate=1)
    report.print_table(f"from the page's return to joined, s ({PAGE_ROUNDS} rounds)", [row])
    return [row]


async def _time_page(crowd: Crowd, listener: Member) -> float:
    """Hide the page, cut the connection, show the page, and measure from then on."""
    mark = len(listener.events)
    crowd.node.process.send_signal(signal.SIGUSR2)
    crowd.network.reset()
    await crowd.until(lambda it: it.events[-1][1] == "hidden", listener)
    started = time.perf_counter()
    crowd.node.process.send_signal(signal.SIGUSR2)
    await crowd.until(lambda it: it.has_returned(mark), listener)
    return time.perf_counter() - started
