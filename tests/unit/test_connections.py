"""The client of the @connections API, against an HTTP server."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from urllib.parse import unquote

import pytest

from chalicelib.aws.connections import (
    AT_ONCE,
    LONGEST_RETRY_DELAY_SECONDS,
    FanOut,
    Gone,
    ManagementApi,
    PostFailed,
    _Queue,
)
from chalicelib.aws.http import SignedClient
from chalicelib.aws.signing import Credentials

WAIT_SECONDS = 10
RETRY_DELAY_SECONDS = 0.004

CLOSE = 0
HANG = -1


@dataclass
class Phones:
    """The statuses with which @connections answers, in order for each connection.

    The last status repeats. CLOSE reads the request and closes the connection. HANG does not
    answer until the test ends.
    """

    statuses: dict[str, list[int]] = field(default_factory=dict)
    requests: list[tuple[str, str, bytes]] = field(default_factory=list)
    before_answer: Callable[[], object] = lambda: None
    is_over: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def answer(self, method: str, connection_id: str, body: bytes) -> int:
        with self.lock:
            self.requests.append((method, connection_id, body))
            statuses = self.statuses.get(connection_id, [200])
            status = statuses.pop(0) if len(statuses) > 1 else statuses[0]
        self.before_answer()
        if status == HANG:
            self.is_over.wait(WAIT_SECONDS)
        return status

    def tries(self, connection_id: str) -> int:
        return Counter(receiver for _, receiver, _ in self.requests)[connection_id]


class Server(ThreadingHTTPServer):
    request_queue_size = 2 * AT_ONCE
    daemon_threads = True

    def __init__(self, connections: Phones) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.connections = connections

    def handle_error(self, *_: object) -> None:
        """Ignore a client that closes the connection early."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        stage, _, quoted_id = self.path.partition("/@connections/")
        assert stage == "/local"
        assert "/" not in quoted_id
        status = self.server.connections.answer(self.command, unquote(quoted_id), body)
        if status in (CLOSE, HANG):
            self.close_connection = True
            return
        self.wfile.write(b"HTTP/1.1 %d x\r\nContent-Length: 0\r\n\r\n" % status)

    def do_DELETE(self) -> None:
        self.do_POST()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def connections() -> Phones:
    return Phones()


@pytest.fixture
def url(connections: Phones) -> Iterator[str]:
    with Server(connections) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/local"
        connections.is_over.set()
        server.shutdown()
        thread.join(WAIT_SECONDS)


def client_of(url: str) -> SignedClient:
    return SignedClient(
        url,
        "execute-api",
        "us-east-1",
        lambda: Credentials("none", "none"),
        connect_timeout_seconds=WAIT_SECONDS,
        read_timeout_seconds=WAIT_SECONDS,
    )


@pytest.fixture
def client(url: str) -> Iterator[SignedClient]:
    client = client_of(url)
    yield client
    client.close()


@pytest.fixture
def api(client: SignedClient) -> ManagementApi:
    return ManagementApi(client, retry_delay_seconds=RETRY_DELAY_SECONDS, jitter=lambda: 0)


@pytest.mark.parametrize("status", [410, 400])
def test_a_closed_or_malformed_connection_is_gone(
    api: ManagementApi, connections: Phones, status: int
) -> None:
    connections.statuses["a="] = [status]
    with pytest.raises(Gone):
        api.post("a=", "{}")
    assert connections.tries("a=") == 1


@pytest.mark.parametrize("status", [403, 413, 500])
def test_a_refused_post_fails_without_a_retry(
    api: ManagementApi, connections: Phones, status: int
) -> None:
    connections.statuses["a="] = [status]
    with pytest.raises(PostFailed) as caught:
        api.post("a=", "{}")
    assert caught.value.status == status
    assert not caught.value.may_have_arrived
    assert connections.tries("a=") == 1


@pytest.mark.parametrize("status", [CLOSE, 504])
def test_a_post_that_may_have_arrived_is_not_retried(
    api: ManagementApi, connections: Phones, status: int
) -> None:
    connections.statuses["a="] = [status, 200]
    with pytest.raises(PostFailed) as caught:
        api.post("a=", "{}")
    assert caught.value.may_have_arrived
    assert connections.tries("a=") == 1


def test_a_throttled_post_is_retried_until_it_is_accepted(
    client: SignedClient, connections: Phones
) -> None:
    api = ManagementApi(client, retry_delay_seconds=0)
    connections.statuses["a="] = [*[429] * 9, 200]
    assert api.fan_out(["a="], "{}") == FanOut(1, frozenset(), 0)
    assert connections.tries("a=") == 10


def test_a_post_that_succeeds_on_a_retry_does_not_fail(
    api: ManagementApi, connections: Phones
) -> None:
    connections.statuses["a="] = [429, 200]
    api.post("a=", "{}")
    assert connections.tries("a=") == 2


def test_a_connection_id_may_contain_any_character(api: ManagementApi, connections: Phones) -> None:
    api.post("L0S/+_-ü=", '{"text": "Grüß Gott"}')
    assert connections.requests == [("POST", "L0S/+_-ü=", '{"text": "Grüß Gott"}'.encode())]


def test_a_fan_out_reports_gone_and_failed_connections(
    api: ManagementApi, connections: Phones
) -> None:
    connections.statuses |= {
        "gone=": [410],
        "never=": [400],
        "full=": [429],
        "broken=": [500],
        "lost=": [CLOSE],
        "forbidden=": [403],
        "busy=": [429, 429, 200],
    }
    ids = [*connections.statuses, "a=", "b="]
    assert api.fan_out(ids, "{}", time_limit_seconds=0.3) == FanOut(
        reached=3,
        gone=frozenset({"gone=", "never="}),
        failed=4,
        unreached=frozenset({"full=", "broken=", "forbidden="}),
    )


def test_a_fan_out_to_no_connection_posts_nothing(api: ManagementApi, connections: Phones) -> None:
    assert api.fan_out([], "{}") == FanOut(0, frozenset(), 0)
    assert connections.requests == []


def test_a_fan_out_posts_once_to_each_connection(api: ManagementApi, connections: Phones) -> None:
    ids = [f"{n}=" for n in range(3 * AT_ONCE)]
    assert api.fan_out([*ids, *ids], "{}").reached == len(ids)
    assert Counter(connections.requests) == Counter(("POST", to, b"{}") for to in ids)


def test_a_fan_out_posts_to_many_connections_at_the_same_time(
    api: ManagementApi, connections: Phones
) -> None:
    connections.before_answer = threading.Barrier(AT_ONCE, timeout=WAIT_SECONDS).wait
    assert api.fan_out([f"{n}=" for n in range(AT_ONCE)], "{}").reached == AT_ONCE


def test_a_connection_that_hangs_fails_and_does_not_delay_others(
    client: SignedClient, connections: Phones
) -> None:
    hanging = ["x=", "y=", "z="]
    connections.statuses |= {to: [HANG] for to in hanging}
    others = [f"{n}=" for n in range(12)]
    fan_out = ManagementApi(client, at_once=4).fan_out(
        [*hanging, *others], "{}", time_limit_seconds=0.3
    )
    # The hanging connections may have received the message, so they are not in `unreached`.
    assert fan_out == FanOut(reached=len(others), gone=frozenset(), failed=len(hanging))
    assert fan_out.duration_ms >= 300


def test_no_post_starts_after_the_time_limit(client: SignedClient, connections: Phones) -> None:
    ids = [f"{n}=" for n in range(12)]
    connections.statuses |= {to: [HANG] for to in ids}
    api = ManagementApi(client, at_once=4)
    fan_out = api.fan_out(ids, "{}", time_limit_seconds=0.1)
    assert (fan_out.failed, len(fan_out.unreached)) == (len(ids), len(ids) - 4)
    late = api.fan_out(["late="], "{}", time_limit_seconds=0)
    assert late == FanOut(0, frozenset(), 1, unreached=frozenset({"late="}))
    assert len(connections.requests) <= 4


def test_retries_come_after_all_first_attempts(client: SignedClient, connections: Phones) -> None:
    throttled = ["x=", "y=", "z="]
    connections.statuses |= {to: [429, 200] for to in throttled}
    others = [f"{n}=" for n in range(27)]
    api = ManagementApi(client, at_once=4, retry_delay_seconds=0)
    assert api.fan_out([*throttled, *others], "{}").reached == 30
    receivers = [receiver for _, receiver, _ in connections.requests]
    first_repeat = next(n for n, again in enumerate(receivers) if again in receivers[:n])
    # A retry may end before a first attempt that is still in flight.
    assert first_repeat > 30 - 4


def test_waits_before_retries_grow_until_the_time_limit(
    client: SignedClient, connections: Phones
) -> None:
    connections.statuses["full="] = [429]
    at: list[float] = []
    connections.before_answer = lambda: at.append(time.monotonic())
    api = ManagementApi(client, retry_delay_seconds=0.02, jitter=lambda: 0)
    assert api.fan_out(["full="], "{}", time_limit_seconds=0.1).failed == 1
    waits = [after - before for before, after in pairwise(at)]
    assert len(waits) == 2
    assert waits[0] >= 0.02
    assert waits[1] >= 0.04


def test_waits_before_retries_grow_to_one_second(api: ManagementApi) -> None:
    queue = _Queue(["full="], retry_delay_seconds=0.1, jitter=lambda: 0)
    waits = [queue._delay_seconds(tries) for tries in (1, 4, 5, 2000)]
    assert waits == pytest.approx([0.1, 0.8, *[LONGEST_RETRY_DELAY_SECONDS] * 2])


def test_jitter_shortens_waits_by_up_to_half() -> None:
    queue = _Queue(["full="], retry_delay_seconds=0.1, jitter=lambda: 1)
    assert queue._delay_seconds(1) == pytest.approx(0.05)


def test_no_connection_is_reached_without_a_server(connections: Phones) -> None:
    with Server(connections) as server:
        url = f"http://127.0.0.1:{server.server_port}/local"
    api = ManagementApi(client_of(url), retry_delay_seconds=RETRY_DELAY_SECONDS)
    assert api.fan_out(["a=", "b="], "{}") == FanOut(
        0, frozenset(), failed=2, unreached=frozenset({"a=", "b="})
    )


def test_connections_are_closed_and_failures_are_skipped(
    api: ManagementApi, connections: Phones
) -> None:
    connections.statuses |= {
        "a=": [204],
        "gone=": [410],
        "never=": [400],
        "broken=": [500, 204],
        "busy=": [429, 204],
        "hanging=": [HANG],
    }
    api.close(connections.statuses, time_limit_seconds=0.3)
    assert {(method, body) for method, _, body in connections.requests} == {("DELETE", b"")}
    tries = {"a=": 1, "gone=": 1, "never=": 1, "broken=": 2, "busy=": 2, "hanging=": 1}
    assert {to: connections.tries(to) for to in connections.statuses} == tries
    api.close([])
