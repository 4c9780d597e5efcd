"""A stand-in for @connections with a fixed latency, in a process of its own.

`python -m benchmarks.connections MILLISECONDS [QUOTA BUCKET]` prints
`ready: http://127.0.0.1:PORT/local`, and answers each request with 200 after that time. With a
quota, it answers 429 to requests beyond QUOTA a second and a bucket of BUCKET. To cost little CPU,
it ignores the content of requests.
"""

import asyncio
import signal
import sys
import time

BACKLOG = 4096

# The headers are those of API Gateway, because clients spend time on reading them.
_ANSWER = (
    b"HTTP/1.1 200 OK\r\nDate: Sat, 21 Nov 2026 12:00:00 GMT\r\nContent-Type: application/json\r\n"
    b"Content-Length: 0\r\nConnection: keep-alive\r\n"
    b"x-amzn-RequestId: 0f9e2e63-8b5f-4b39-9d2c-6d1d5c0b1a11\r\n"
    b"x-amz-apigw-id: L0SM9cOFvHcCIhw=\r\n\r\n"
)
_REFUSAL = _ANSWER.replace(b"200 OK", b"429 Too Many Requests", 1)
_HEAD_END = b"\r\n\r\n"
_LENGTH = b"content-length:"


class Quota:
    """A token bucket, as API Gateway's."""

    def __init__(self, per_second: float, bucket: float) -> None:
        """Start with a full bucket."""
        self._per_second = per_second
        self._bucket = self._tokens = bucket
        self._filled_at = time.monotonic()

    def take(self) -> bool:
        """Return whether a request is within the quota. A refused request takes nothing."""
        now = time.monotonic()
        added = (now - self._filled_at) * self._per_second
        self._tokens, self._filled_at = min(self._tokens + added, self._bucket), now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


async def main(latency_seconds: float, quota: Quota | None = None) -> None:
    """Serve until SIGTERM or SIGINT."""
    loop = asyncio.get_running_loop()
    is_interrupted = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, is_interrupted.set)
    server = await loop.create_server(
        lambda: Answerer(latency_seconds, quota), "127.0.0.1", 0, backlog=BACKLOG
    )
    port = server.sockets[0].getsockname()[1]
    print(f"ready: http://127.0.0.1:{port}/local", flush=True)
    await is_interrupted.wait()


class Answerer(asyncio.Protocol):
    """One connection of a client that waits for each answer before the next request."""

    def __init__(self, latency_seconds: float, quota: Quota | None) -> None:
        """Answer each request after a time."""
        self._latency_seconds = latency_seconds
        self._quota = quota
        self._received = b""
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer when a request is complete."""
        self._received += data
        head, end, body = self._received.partition(_HEAD_END)
        if not end or len(body) < _body_bytes(head.lower()):
            return
        self._received = b""
        answer = _ANSWER if self._quota is None or self._quota.take() else _REFUSAL
        if self._latency_seconds:
            loop = asyncio.get_running_loop()
            loop.call_later(self._latency_seconds, self._transport.write, answer)
        else:
            self._transport.write(answer)


def _body_bytes(head: bytes) -> int:
    _, _, rest = head.partition(_LENGTH)
    return int(rest.partition(b"\r\n")[0] or 0)


if __name__ == "__main__":
    latency_ms, *limits = map(int, sys.argv[1:])
    asyncio.run(main(latency_ms / 1000, Quota(*limits) if limits else None))
