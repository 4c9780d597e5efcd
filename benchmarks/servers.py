"""The measured servers that only this project has."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.servers import Server, running

ROOT = Path(__file__).parents[1]


@contextmanager
def connections_server(latency_ms: int, *quota: int) -> Iterator[Server]:
    """Serve a stand-in for @connections that answers each post after a latency.

    Args:
        latency_ms: The latency.
        *quota: The requests a second and the bucket of its token bucket, if it has one.
    """
    arguments = map(str, (latency_ms, *quota))
    with running("benchmarks.connections", *arguments, folder=ROOT) as server:
        yield server
