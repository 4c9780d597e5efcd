"""The memory and the CPU of idle listeners of the Python client, all in one process."""

import asyncio
import os
from contextlib import AbstractContextManager
from pathlib import Path

from bench import report
from bench.memory import peak_mib
from bench.report import Row, Target
from bench.servers import Server, running
from benchmarks.servers import ROOT
from broadcast_sessions_client import Speaker
from tests.stories.target import HIGH_LIMITS, local_server

LISTENERS = 500
ROUNDS = 3
ROUND_SECONDS = 30
"""Each listener sends one heartbeat in this time. After five minutes it would send fewer."""

_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


def measure() -> list[Row]:
    """Measure and print.

    Raises:
        NotStarted: The listeners didn't join.
    """
    report.print_section(f"{LISTENERS} idle Python listeners in one process")
    with local_server(**HIGH_LIMITS) as target:
        token = target.tokens()["IdToken"]
        return asyncio.run(_measure(target.url, token))


async def _measure(url: str, token: str) -> list[Row]:
    alone = Row("the process without listeners")
    memory = Row("with them", yardstick=alone, target=Target("median", "at most", 150))
    cpu = Row("while they only send heartbeats", target=Target("median", "at most", 1))
    async with Speaker(url, token=token) as speaker:
        session = await speaker.create("en")
        invited = (url, session.id, session.invite_code)
        with _listeners(0, *invited) as process:
            alone.figures.append(peak_mib(process.process_id))
        with _listeners(LISTENERS, *invited) as process:
            for _ in range(ROUNDS):
                before = _cpu_seconds(process)
                await asyncio.sleep(ROUND_SECONDS)
                cpu.figures.append((_cpu_seconds(process) - before) / ROUND_SECONDS * 100)
            memory.figures.append(peak_mib(process.process_id))
            memory.failed = cpu.failed = LISTENERS - (await speaker.status()).listener_count
    report.print_table("memory, MiB (VmHWM)", [alone, memory])
    report.print_table(f"CPU, % of a core ({ROUNDS} rounds of {ROUND_SECONDS} s)", [cpu])
    return [alone, memory, cpu]


def _listeners(count: int, *invited: str) -> AbstractContextManager[Server]:
    return running("benchmarks.idle_listeners", str(count), *invited, folder=ROOT)


def _cpu_seconds(process: Server) -> float:
    """Return the CPU time of a process. Source: proc_pid_stat(5), utime and stime."""
    _, _, fields = Path(f"/proc/{process.process_id}/stat").read_text().rpartition(")")
    return sum(map(int, fields.split()[11:13])) / _TICKS_PER_SECOND
