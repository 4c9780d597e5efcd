"""serverless-offline with the trivial application."""

from collections.abc import Iterator
from contextlib import contextmanager

from bench.servers import TRIVIAL, Server
from conformance.serverless_offline import server
from local_gateway import scratch

# Without `disconnect`: it starts a Python process for each of the connections that close at once,
# which would slow the next measurement.
FUNCTIONS = server.routes("$connect", "$default", identity_source=[], has_replies=True)


def is_available() -> bool:
    """Return whether npm can install it. Prints a note if not."""
    if not server.has_npm():
        print("there is no npm, so serverless-offline isn't measured")
        return False
    return True


@contextmanager
def serving() -> Iterator[Server]:
    """Serve the trivial application. Installs serverless-offline the first time.

    Raises:
        TargetError: npm can't install it, or it ended before it was ready.
    """
    server.install()
    with (
        scratch.folder("bench-serverless-") as home,
        server.started(TRIVIAL, home / "project", FUNCTIONS) as started,
    ):
        started.wait_until_ready()
        yield Server(f"{started.url}/{server.STAGE}", started.process_id)
