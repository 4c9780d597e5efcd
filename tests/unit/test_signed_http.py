"""The signer and the HTTP client, against botocore and real sockets."""

import datetime
import ipaddress
import itertools
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from urllib.parse import quote

import pytest
from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotoCredentials
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from chalicelib.aws.http import MAX_IDLE_SECONDS, SignedClient, get
from chalicelib.aws.side_by_side import SideBySide
from chalicelib.aws.signing import Credentials, Signer
from chalicelib.aws.wire import MAX_BODY_BYTES, MAX_HEAD_BYTES, Unreachable, run

WAIT_SECONDS = 5
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
HANG = None
CUT = False

Script = list[bytes | list[bytes] | bool | None]

KEY = Credentials("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
KEY_WITH_TOKEN = Credentials(KEY.access_key, KEY.secret_key, "FwoGZXIvYXdzE/+=token")
DYNAMODB_HEADERS = {
    "Content-Type": "application/x-amz-json-1.0",
    "X-Amz-Target": "DynamoDB_20120810.UpdateItem",
}


@dataclass(frozen=True, slots=True)
class GeneratedRequest:
    service: str
    method: str
    host: str
    path: str
    headers: dict[str, str]
    body: bytes
    credentials: Credentials


def generate_request(random: Random) -> GeneratedRequest:
    letters = "aZ09-_.~ =/+%&?#:@ü€\U0001f600"
    segments = ["".join(random.choices(letters, k=random.randint(1, 20))) for _ in range(3)]
    return GeneratedRequest(
        service=random.choice(["dynamodb", "execute-api", "lambda"]),
        method=random.choice(["DELETE", "GET", "POST"]),
        host=random.choice(["a1.example", "a1.example:8443", "127.0.0.1:8000"]),
        path="/" + "/".join(quote(each, safe="@") for each in segments[: random.randint(0, 3)]),
        headers=random.choice([{}, DYNAMODB_HEADERS, {"X-Amz-Invocation-Type": "Event"}]),
        body=random.choice([b"", b"{}", random.randbytes(random.randint(1, 9999))]),
        credentials=random.choice([KEY, KEY_WITH_TOKEN]),
    )


@pytest.mark.parametrize("seed", range(100))
def test_a_signature_equals_botocores(seed: int) -> None:
    request = generate_request(Random(seed))
    theirs = AWSRequest(
        method=request.method,
        url=f"https://{request.host}{request.path}",
        data=request.body,
        headers=request.headers,
    )
    keys = request.credentials
    boto_credentials = BotoCredentials(keys.access_key, keys.secret_key, keys.token)
    SigV4Auth(boto_credentials, request.service, "eu-west-1").add_auth(theirs)
    stamp = datetime.datetime.strptime(theirs.headers["X-Amz-Date"] + "+0000", "%Y%m%dT%H%M%SZ%z")

    signed = Signer(request.host, request.service, "eu-west-1").sign(
        request.method, request.path, request.headers, request.body, keys, stamp.timestamp()
    )

    expected = {name.lower(): value for name, value in theirs.headers.items()}
    assert signed == {**expected, "host": request.host}


@pytest.mark.parametrize("seed", range(20))
def test_a_signature_for_s3_equals_botocores(seed: int) -> None:
    request = generate_request(Random(seed))
    theirs = AWSRequest(
        method="PUT",
        url=f"http://{request.host}{request.path}",
        data=request.body,
        headers={"Cache-Control": "public, max-age=31536000, immutable"},
    )
    keys = request.credentials
    boto_credentials = BotoCredentials(keys.access_key, keys.secret_key, keys.token)
    S3SigV4Auth(boto_credentials, "s3", "eu-west-1").add_auth(theirs)
    stamp = datetime.datetime.strptime(theirs.headers["X-Amz-Date"] + "+0000", "%Y%m%dT%H%M%SZ%z")

    signed = Signer(request.host, "s3", "eu-west-1").sign(
        "PUT",
        request.path,
        {"Cache-Control": "public, max-age=31536000, immutable"},
        request.body,
        keys,
        stamp.timestamp(),
    )

    expected = {name.lower(): value for name, value in theirs.headers.items()}
    assert signed == {**expected, "host": request.host}


@dataclass
class PlayedServer:
    """A server with a list of answers for each connection, one for each request.

    After the last answer, it closes the connection. An answer can have several pieces. HANG does
    not answer until the test ends. CUT closes the connection when the request has started.
    """

    scripts: list[Script]
    tls_context: ssl.SSLContext | None = None
    requests: list[list[bytes]] = field(default_factory=list)
    is_over: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    @property
    def url(self) -> str:
        scheme = "https" if self.tls_context else "http"
        return f"{scheme}://127.0.0.1:{self._listener.getsockname()[1]}/local"

    def stop(self) -> None:
        self.is_over.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(WAIT_SECONDS)
        self._listener.close()

    def _accept(self) -> None:
        for script in self.scripts:
            try:
                connected, _ = self._listener.accept()
            except OSError:
                return  # The test has ended.
            self.requests.append([])
            player = threading.Thread(
                target=self._play, args=(connected, script, self.requests[-1])
            )
            self._threads.append(player)
            player.start()

    def _play(self, connected: socket.socket, script: Script, requests: list[bytes]) -> None:
        # The client may close the connection early.
        with suppress(OSError), self._secure(connected) as secured:
            secured.settimeout(WAIT_SECONDS)
            for answer in script:
                if answer is CUT:
                    secured.recv(100)
                    return
                requests.append(read_request(secured))
                if answer is HANG:
                    self.is_over.wait(WAIT_SECONDS)
                    return
                self._send(secured, answer)

    def _secure(self, connected: socket.socket) -> socket.socket:
        if self.tls_context is None:
            return connected
        return self.tls_context.wrap_socket(connected, server_side=True)

    def _send(self, connected: socket.socket, answer: bytes | list[bytes]) -> None:
        if isinstance(answer, bytes):
            connected.sendall(answer)
            return
        for piece in answer:
            connected.sendall(piece)
            self.is_over.wait(0.001)


class OddServer:
    """A server that sends `pieces`, one every 50 ms if it is slow, then closes."""

    def __init__(self, pieces: Iterable[bytes], *, is_slow: bool = False) -> None:
        self._pieces = pieces
        self._is_slow = is_slow
        self._is_over = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._answer)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}/jwks.json"

    def __enter__(self) -> "OddServer":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join(WAIT_SECONDS)
        self._listener.close()

    def _answer(self) -> None:
        with suppress(OSError):  # The client or the test may have closed the connection.
            connected, _ = self._listener.accept()
            with connected:
                connected.recv(4096)
                for piece in self._pieces:
                    connected.sendall(piece)
                    if self._is_over.is_set() or (self._is_slow and self._is_over.wait(0.05)):
                        break


def read_request(connected: socket.socket) -> bytes:
    """Read one request.

    Raises:
        OSError: The client closed the connection.
    """
    received = b""
    while b"\r\n\r\n" not in received:
        received += receive(connected)
    head, _, body = received.partition(b"\r\n\r\n")
    length = re.search(rb"content-length: (\d+)", head)
    while len(body) < (int(length[1]) if length else 0):
        body += receive(connected)
    return head + b"\r\n\r\n" + body


def receive(connected: socket.socket) -> bytes:
    if received := connected.recv(1024 * 1024):
        return received
    raise ConnectionError("the client has left")


@pytest.fixture
def play() -> Iterator[Callable[..., PlayedServer]]:
    servers: list[PlayedServer] = []

    def start(*scripts: Script, tls_context: ssl.SSLContext | None = None) -> PlayedServer:
        servers.append(PlayedServer(list(scripts), tls_context))
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


Play = Callable[..., PlayedServer]


class Clock:
    now = 1_000_000_000.0

    def __call__(self) -> float:
        return self.now


ClientOf = Callable[..., SignedClient]


@pytest.fixture
def client_of() -> Iterator[ClientOf]:
    clients: list[SignedClient] = []

    def make(
        url: str,
        read_timeout_seconds: float = WAIT_SECONDS,
        clock: Callable[[], float] = time.time,
        tls_context: ssl.SSLContext | None = None,
    ) -> SignedClient:
        client = SignedClient(
            url,
            "execute-api",
            "eu-west-1",
            lambda: KEY_WITH_TOKEN,
            connect_timeout_seconds=WAIT_SECONDS,
            read_timeout_seconds=read_timeout_seconds,
            clock=clock,
            tls_context=None if tls_context is None else lambda: tls_context,
        )
        clients.append(client)
        return client

    yield make
    for client in clients:
        client.close()


def closed_port_url() -> str:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"http://127.0.0.1:{listener.getsockname()[1]}/local"


def test_a_refused_connection_is_unreachable_and_unsent(client_of: ClientOf) -> None:
    with pytest.raises(Unreachable) as caught:
        client_of(closed_port_url()).request("GET", "/x")
    assert not caught.value.was_sent


def test_an_unknown_host_is_unreachable(client_of: ClientOf) -> None:
    with pytest.raises(Unreachable):
        client_of("http://no-such-host.invalid/local").request("GET", "/x")


def test_a_missing_answer_is_unreachable_and_sent(
    client_of: ClientOf,
    play: Play,
) -> None:
    server = play([HANG])
    with pytest.raises(Unreachable) as caught:
        client_of(server.url, read_timeout_seconds=0.02).request("POST", "/x", b"{}")
    assert (caught.value.was_sent, caught.value.is_timeout) == (True, True)


def test_an_operation_can_end_before_the_clients_own_time_limit(
    client_of: ClientOf, play: Play
) -> None:
    client = client_of(play([HANG]).url)
    started_at = time.monotonic()
    with pytest.raises(Unreachable) as caught:
        run(client.steps("GET", "/x"), time.monotonic() + 0.02)
    assert caught.value.is_timeout
    assert time.monotonic() - started_at < 1


def test_a_slow_answer_has_no_extra_time(client_of: ClientOf, play: Play) -> None:
    server = play([[b"H"] * 1000])
    started_at = time.monotonic()
    with pytest.raises(Unreachable):
        client_of(server.url, read_timeout_seconds=0.02).request("GET", "/x")
    assert time.monotonic() - started_at < 1


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nabc\r\n",
        b"HTTP/1.1 OK\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.6 hello\r\n\r\n",
    ],
    ids=lambda answer: answer[-40:].decode(),
)
def test_an_incomplete_or_invalid_answer_is_unreachable(
    client_of: ClientOf, play: Play, answer: bytes
) -> None:
    with pytest.raises(Unreachable) as caught:
        client_of(play([answer]).url).request("POST", "/x", b"{}")
    assert caught.value.was_sent


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\n" + b"x" * (MAX_HEAD_BYTES + 65536),
        b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (MAX_BODY_BYTES + 1),
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n" % (MAX_BODY_BYTES + 1),
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        + (b"10000\r\n" + b"x" * 0x10000 + b"\r\n") * (MAX_BODY_BYTES // 0x10000 + 1),
    ],
    ids=["head", "body", "chunk", "chunks"],
)
def test_an_oversized_answer_is_not_read_to_its_end(
    client_of: ClientOf, play: Play, answer: bytes
) -> None:
    with pytest.raises(Unreachable) as caught:
        client_of(play([answer, HANG]).url, 2).request("POST", "/x", b"{}")
    assert not caught.value.is_timeout


@pytest.mark.parametrize(
    ("answer", "body"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", b"abc"),
        (b"HTTP/1.1 200 OK\r\ncontent-length:0\r\n\r\n", b""),
        (b"HTTP/1.1 200 OK\r\n\r\nto the end", b"to the end"),
        (b"HTTP/1.0 200\r\nContent-Length: 1\r\n\r\na", b"a"),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na", b"a"),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"3;x=y\r\nabc\r\nA\r\n0123456789\r\n0\r\nTrailer: x\r\n\r\n",
            b"abc0123456789",
        ),
    ],
)
def test_an_answer_is_complete_for_each_framing_and_fragmentation(
    client_of: ClientOf, play: Play, answer: bytes, body: bytes
) -> None:
    server = play([answer], [[bytes([byte]) for byte in answer]])
    for _ in range(2):
        got = client_of(server.url).request("GET", "/x")
        assert (got.status, got.body) == (200, body)


def test_an_answer_without_content_has_an_empty_body(client_of: ClientOf, play: Play) -> None:
    server = play([b"HTTP/1.1 204 No Content\r\n\r\n", OK])
    client = client_of(server.url)
    assert client.request("DELETE", "/x").body == b""
    assert client.request("DELETE", "/x").body == b"ok"
    assert len(server.requests) == 1


def test_a_request_carries_its_path_body_and_signature(client_of: ClientOf, play: Play) -> None:
    server = play([OK])
    path = f"/@connections/{quote('L0S/+=', safe='')}"
    answer = client_of(server.url).request("POST", path, b"{}", {"X-Amz-Target": "y"})
    assert (answer.status, answer.body, answer.headers) == (200, b"ok", {"content-length": "2"})
    head, _, body = server.requests[0][0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /local/@connections/L0S%2F%2B%3D HTTP/1.1\r\n")
    assert b"\r\nx-amz-target: y\r\n" in head
    assert b"\r\nauthorization: AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/" in head
    assert body == b"{}"


def test_a_large_body_arrives_completely(client_of: ClientOf, play: Play) -> None:
    server = play([OK])
    body = bytes(range(256)) * 16_000
    client_of(server.url).request("POST", "/x", body)
    assert server.requests[0][0].endswith(b"\r\n\r\n" + body)


def test_a_connection_is_reused(client_of: ClientOf, play: Play) -> None:
    server = play([OK, OK, OK])
    client = client_of(server.url)
    for _ in range(3):
        client.request("POST", "/x")
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nConnection: Close\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n",
        OK + b"HTTP/1.1 500 an answer out of turn\r\n\r\n",
    ],
)
def test_a_closing_or_out_of_step_connection_is_not_reused(
    client_of: ClientOf, play: Play, answer: bytes
) -> None:
    server = play([answer, HANG], [OK])
    client = client_of(server.url)
    client.request("POST", "/x")
    assert client.request("POST", "/x").body == b"ok"
    assert len(server.requests) == 2


def test_a_connection_that_was_idle_too_long_is_not_reused(client_of: ClientOf, play: Play) -> None:
    server, clock = play([OK], [OK]), Clock()
    client = client_of(server.url, clock=clock)
    client.request("POST", "/x")
    clock.now += MAX_IDLE_SECONDS
    client.request("POST", "/x")
    assert len(server.requests) == 2


def test_a_closed_kept_connection_is_replaced_even_for_a_post(
    client_of: ClientOf,
    play: Play,
) -> None:
    server = play([OK], [OK])
    client = client_of(server.url)
    client.request("POST", "/x")
    wait_until(lambda: not client._kept[0].is_quiet())
    assert client.request("POST", "/x").status == 200


def wait_until(is_so: Callable[[], bool]) -> None:
    ends_at = time.monotonic() + WAIT_SECONDS
    while not is_so():
        assert time.monotonic() < ends_at
        threading.Event().wait(0.001)


def test_a_post_that_was_sent_on_a_kept_connection_is_not_repeated(
    client_of: ClientOf, play: Play
) -> None:
    server = play([OK, b""], [OK])
    client = client_of(server.url)
    client.request("POST", "/x")
    with pytest.raises(Unreachable) as caught:
        client.request("POST", "/x")
    assert caught.value.was_sent


def test_a_post_that_was_partly_sent_on_a_kept_connection_is_repeated(
    client_of: ClientOf, play: Play
) -> None:
    server = play([OK, CUT], [OK])
    client = client_of(server.url)
    client.request("POST", "/x")
    assert client.request("POST", "/x", b"x" * 16_000_000).status == 200
    assert [len(requests) for requests in server.requests] == [1, 1]


@pytest.mark.parametrize(("method", "is_idempotent"), [("GET", None), ("POST", True)])
def test_an_idempotent_request_is_repeated_once_on_a_new_connection(
    client_of: ClientOf, play: Play, method: str, is_idempotent: bool | None
) -> None:
    server = play([OK, b""], [OK])
    client = client_of(server.url)
    client.request(method, "/x")
    assert client.request(method, "/x", is_idempotent=is_idempotent).body == b"ok"
    assert len(server.requests) == 2


def test_a_request_that_hangs_on_a_kept_connection_is_not_repeated(
    client_of: ClientOf, play: Play
) -> None:
    server = play([OK, HANG], [OK])
    client = client_of(server.url, read_timeout_seconds=0.05)
    client.request("GET", "/x")
    with pytest.raises(Unreachable):
        client.request("GET", "/x")
    assert len(server.requests) == 1


def test_a_closed_client_is_usable_again(client_of: ClientOf, play: Play) -> None:
    server = play([OK], [OK])
    client = client_of(server.url)
    client.request("POST", "/x")
    client.close()
    client.request("POST", "/x")
    assert len(server.requests) == 2


def test_threads_share_a_client(client_of: ClientOf, play: Play) -> None:
    server = play([OK] * 20)
    client = client_of(server.url)
    for _ in range(20):
        thread = threading.Thread(target=client.request, args=("POST", "/x"))
        thread.start()
        thread.join()
    assert len(server.requests) == 1


def test_concurrent_requests_end_independently(client_of: ClientOf, play: Play) -> None:
    hanging, quick = play([HANG]), play([OK])
    in_flight: SideBySide[str] = SideBySide()
    in_flight.start("late", client_of(hanging.url, read_timeout_seconds=0.3).steps("GET", "/x"))
    in_flight.start("quick", client_of(quick.url).steps("GET", "/x"))
    ends = [*in_flight.wait(time.monotonic() + 5), *in_flight.wait(time.monotonic() + 5)]
    assert [(key, type(end).__name__) for key, end in ends] == [
        ("quick", "Answer"),
        ("late", "Unreachable"),
    ]


def test_a_cancelled_request_leaves_no_connection(client_of: ClientOf, play: Play) -> None:
    server = play([HANG])
    in_flight: SideBySide[str] = SideBySide()
    in_flight.start("x", client_of(server.url).steps("GET", "/x"))
    assert in_flight.wait(time.monotonic() + 0.01) == []
    in_flight.close()
    assert len(in_flight) == 0


@pytest.fixture(scope="module")
def certificate_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Create a key and a self-signed certificate for 127.0.0.1."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder(issuer_name=name, subject_name=name, public_key=key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]),
            critical=False,
        )
        .sign(key, hashes.SHA256())
    )
    pem_key = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    path.write_bytes(pem_key + certificate.public_bytes(serialization.Encoding.PEM))
    return path


def tls_context(certificate_file: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate_file)
    return context


def test_a_client_keeps_a_tls_connection(
    client_of: ClientOf, play: Play, certificate_file: Path
) -> None:
    body = bytes(range(256)) * 4000
    long_answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    server = play([OK, long_answer, OK], tls_context=tls_context(certificate_file))
    trusting = ssl.create_default_context(cafile=certificate_file)
    client = client_of(server.url, tls_context=trusting)
    assert [client.request("POST", "/x", b"a" * 300_000).body for _ in range(3)] == [
        b"ok",
        body,
        b"ok",
    ]
    assert len(server.requests) == 1


def test_a_server_with_an_untrusted_certificate_is_unreachable(
    client_of: ClientOf, play: Play, certificate_file: Path
) -> None:
    server = play([], tls_context=tls_context(certificate_file))
    with pytest.raises(Unreachable) as caught:
        client_of(server.url).request("POST", "/x")
    assert not caught.value.was_sent


# Public resources

HEAD = b"HTTP/1.1 200 OK\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
EARLY_HINTS = b"HTTP/1.1 103 Early Hints\r\n\r\n"


def test_a_public_resource_is_requested_without_a_signature(play: Play) -> None:
    server = play([OK])
    assert get(f"{server.url}/jwks.json", WAIT_SECONDS).body == b"ok"
    ((request,),) = server.requests
    line, *headers = request.decode().rstrip().split("\r\n")
    assert line == "GET /local/jwks.json HTTP/1.1"
    host = server.url.split("/")[2]
    assert headers == [f"host: {host}", "user-agent: broadcast-sessions", "connection: close"]


def test_a_public_resource_over_tls_needs_a_trusted_certificate(
    play: Play, certificate_file: Path
) -> None:
    server = play([], tls_context=tls_context(certificate_file))
    with pytest.raises(Unreachable, match="CERTIFICATE_VERIFY_FAILED"):
        get(server.url, WAIT_SECONDS)


@pytest.mark.parametrize(
    ("start", "piece"),
    [
        (b"", b""),
        (HEAD, b"X"),
        (b"", EARLY_HINTS),
        (HEAD + b"Content-Length: 100000\r\n\r\n", b"x"),
        (HEAD + b"\r\n", b"x"),
        (CHUNKED, b"1\r\nx\r\n"),
        (CHUNKED + b"0\r\n", b"a: b\r\n"),
    ],
    ids=["nothing", "head", "early heads", "body", "body without a length", "chunks", "trailers"],
)
def test_a_slow_public_resource_has_one_time_limit(start: bytes, piece: bytes) -> None:
    drops = itertools.chain([start], itertools.repeat(piece))
    with OddServer(drops, is_slow=True) as server:
        started = time.monotonic()
        with pytest.raises(Unreachable) as error:
            get(server.url, 0.3)
        assert 0.3 <= time.monotonic() - started < 5
        assert error.value.is_timeout


@pytest.mark.parametrize(
    ("start", "piece"),
    [(b"", EARLY_HINTS * 1000), (CHUNKED + b"0\r\n", b"a: b\r\n" * 1000)],
    ids=["early heads", "trailers"],
)
def test_an_endless_public_resource_ends_at_the_time_limit(start: bytes, piece: bytes) -> None:
    with OddServer(itertools.chain([start], itertools.repeat(piece))) as server:
        started = time.monotonic()
        with pytest.raises(Unreachable) as error:
            get(server.url, 0.3)
        assert 0.3 <= time.monotonic() - started < 5
        assert error.value.is_timeout
