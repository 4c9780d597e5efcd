"""The CPU time and duration of posts to @connections.

The server is another process, whose CPU time doesn't count.
"""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import boto3
from botocore.config import Config

from bench import report
from bench.report import Row, Target
from bench.servers import Server
from benchmarks.servers import connections_server
from chalicelib.aws.connections import AT_ONCE, FanOut, ManagementApi
from chalicelib.aws.http import SignedClient
from chalicelib.aws.signing import Credentials

CPU_ROUNDS = 15
WALL_ROUNDS = 15
RECEIVERS = 500
LATENCY_MS = 15

ACCESS_KEY, SECRET_KEY, TOKEN = "AKIDEXAMPLE", "k" * 40, "t" * 400
"""Their lengths are those of a Lambda function's credentials."""

TEXT = '{"type": "speakerChanged", "sessionId": "golden-eagle-427", "sentAt": "2026-11-21T12:00Z"}'
TIMEOUT_SECONDS = 5


def measure() -> list[Row]:
    """Measure and print.

    Raises:
        NotStarted: The server didn't start.
    """
    report.print_section("Posts to @connections, compared with boto3's")
    with connections_server(0) as server, posters_of(server) as posters:
        rows = _processor_time(posters)
    with connections_server(LATENCY_MS) as server, posters_of(server) as posters:
        return rows + _wall_time(posters)


@dataclass(frozen=True, slots=True)
class Posters:
    """Both clients of one server, and the connections that they post to."""

    boto3: Any
    client: SignedClient
    connections: ManagementApi
    connection_ids: list[str]

    def post_by_boto3(self, connection_id: str) -> None:
        """Post to one connection."""
        self.boto3.post_to_connection(ConnectionId=connection_id, Data=TEXT.encode())

    def post_all_by_boto3(self) -> int:
        """Post one after another; return 0, because boto3 raises if a post fails."""
        for connection_id in self.connection_ids:
            self.post_by_boto3(connection_id)
        return 0

    def post_side_by_side_by_boto3(self) -> int:
        """Post with threads; return 0, because boto3 raises if a post fails."""
        with ThreadPoolExecutor(AT_ONCE) as threads:
            list(threads.map(self.post_by_boto3, self.connection_ids))
        return 0

    def post_all(self) -> int:
        """Post one after another; return 0, because a failed post raises."""
        for connection_id in self.connection_ids:
            self.connections.post(connection_id, TEXT)
        return 0

    def fan_out(self) -> int:
        """Post side by side; return how many posts were not delivered."""
        fan_out: FanOut = self.connections.fan_out(self.connection_ids, TEXT)
        return RECEIVERS - fan_out.reached

    def fan_out_on_new_connections(self) -> int:
        """Post side by side on new TCP connections; return how many were not delivered."""
        self.client.close()
        return self.fan_out()


@contextmanager
def posters_of(server: Server) -> Iterator[Posters]:
    """Create both clients of a server."""
    credentials = Credentials(ACCESS_KEY, SECRET_KEY, TOKEN)
    client = SignedClient(
        server.url,
        "execute-api",
        "us-east-1",
        lambda: credentials,
        connect_timeout_seconds=TIMEOUT_SECONDS,
        read_timeout_seconds=TIMEOUT_SECONDS,
    )
    ids = [f"L0SM9cOFvH{number:05}=" for number in range(RECEIVERS)]
    yield Posters(_boto3_client(server.url), client, ManagementApi(client), ids)
    client.close()


def _boto3_client(url: str) -> Any:
    return boto3.client(
        "apigatewaymanagementapi",
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id=ACCESS_KEY,
        aws_secret_access_key=SECRET_KEY,
        aws_session_token=TOKEN,
        config=Config(max_pool_connections=AT_ONCE),
    )


def _processor_time(posters: Posters) -> list[Row]:
    """Measure the user and system CPU time of this process, over all threads."""
    yardstick = Row("boto3's post_to_connection, one after another")
    target = Target("ratio", "at most", 0.33)
    one_by_one = Row("Connections.post, one after another", yardstick=yardstick, target=target)
    fan_out = Row("Connections.fan_out", yardstick=yardstick, target=target)
    kinds = [
        (yardstick, posters.post_all_by_boto3),
        (one_by_one, posters.post_all),
        (fan_out, posters.fan_out),
    ]
    _add_rounds(kinds, CPU_ROUNDS, time.process_time, per_second=1000 / RECEIVERS)
    title = f"client's CPU per post, ms ({CPU_ROUNDS} rounds of {RECEIVERS})"
    return _print(title, kinds)


def _wall_time(posters: Posters) -> list[Row]:
    yardstick = Row(f"boto3, {AT_ONCE} threads")
    target = Target("median", "at most", 250)
    kept = Row("Connections.fan_out", yardstick=yardstick, target=target)
    new = Row("Connections.fan_out, all connections new", yardstick=yardstick, target=target)
    kinds = [
        (yardstick, posters.post_side_by_side_by_boto3),
        (kept, posters.fan_out),
        (new, posters.fan_out_on_new_connections),
    ]
    _add_rounds(kinds, WALL_ROUNDS, time.perf_counter, per_second=1000)
    ideal_ms = -(-RECEIVERS // AT_ONCE) * LATENCY_MS
    title = (
        f"{RECEIVERS} posts, {AT_ONCE} at once, each answered after {LATENCY_MS} ms, "
        f"ms ({WALL_ROUNDS} rounds; at best {ideal_ms})"
    )
    return _print(title, kinds)


Kinds = list[tuple[Row, Callable[[], int]]]


def _add_rounds(
    kinds: Kinds, rounds: int, clock: Callable[[], float], *, per_second: float
) -> None:
    """Add figures to the rows, in turn. The first round is a warm-up."""
    for number in range(-1, rounds):
        for row, post_all in kinds:
            started = clock()
            not_reached = post_all()
            spent = clock() - started
            row.failed += not_reached
            if number >= 0:
                row.figures.append(spent * per_second)


def _print(title: str, kinds: Kinds) -> list[Row]:
    rows = [row for row, _ in kinds]
    report.print_table(title, rows)
    return rows
