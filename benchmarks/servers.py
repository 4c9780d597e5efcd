"""The measured servers that only this project has."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.servers import Server, running

ROOT = Path(__file__).parents[1]


@contextmanager
def connections_server(latency_ms: int) -> Iterator[Server]:
    """Serve a stand-in for @connections that answers each post after a latency."""
    with running("benchmarks.connections", str(latency_ms), folder=ROOT) as server:
        yield server
