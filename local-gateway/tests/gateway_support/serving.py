"""A gateway in a child process."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit
from uuid import uuid4

import boto3
from botocore.config import Config
from prometheus_client.parser import text_string_to_metric_families
from websockets.sync.client import ClientConnection, connect

APPS = Path(__file__).parents[1] / "apps"
SECONDS = 15
MODULE = (sys.executable, "-m", "local_gateway")


class Output:
    """The lines of a stream, which a thread reads."""

    def __init__(self, stream: Any) -> None:
        self.lines: list[str] = []
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._read, args=(stream,), daemon=True)
        self._thread.start()

    def wait_for(self, text: str, count: int = 1) -> str:
        """Wait for `count` lines that contain the text, and return the first one."""
        with self._changed:
            found = self._changed.wait_for(lambda: self._find(text, count), SECONDS)
            assert found, f"no {text!r} in {self.lines}"
            return found[0]

    def join(self) -> str:
        """Wait for the end of the stream, and return all text."""
        self._thread.join(SECONDS)
        return "".join(self.lines)

    def _find(self, text: str, count: int) -> list[str]:
        found = [line for line in self.lines if text in line]
        return found if len(found) >= count else []

    def _read(self, stream: Any) -> None:
        with stream:
            for line in stream:
                with self._changed:
                    self.lines.append(line)
                    self._changed.notify_all()


class Server:
    """A running gateway."""

    def __init__(
        self,
        project: Path,
        *arguments: str,
        has_aws: bool = False,
        command: Sequence[str] = MODULE,
        **environment: str,
    ) -> None:
        aws = [] if has_aws else ["--no-aws"]
        self.process = subprocess.Popen(
            [*command, "--port", "0", *aws, "--project", str(project), *arguments],
            env={**os.environ, **_DUMMY_CREDENTIALS, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
        )
        self.out = Output(self.process.stdout)
        self.err = Output(self.process.stderr)
        self._clients: dict[str, Any] = {}

    def wait_until_ready(self) -> None:
        self.url = self.out.wait_for("ready: ").removeprefix("ready: ").strip()
        self.stage = urlsplit(self.url).path.strip("/")
        self.address = (str(urlsplit(self.url).hostname), int(urlsplit(self.url).port or 0))
        self.http_url = f"http://{self.address[0]}:{self.address[1]}"

    def stop(self, number: int = signal.SIGINT) -> int:
        """Interrupt the gateway and return its exit code."""
        for client in self._clients.values():
            client.close()
        self.process.send_signal(number)
        code = self.process.wait(SECONDS)
        self.out.join()
        self.err.join()
        return code

    def connect(
        self, principal: str = "", *, headers: Any = None, **query: str
    ) -> ClientConnection:
        if principal:
            query["principal"] = principal
        url = f"{self.url}?{urlencode(query)}" if query else self.url
        return connect(url, additional_headers=headers, max_size=None, open_timeout=SECONDS)

    def raw(self) -> socket.socket:
        return socket.create_connection(self.address, timeout=SECONDS)

    def request(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        """Send a plain request, and return the response's status and JSON."""
        connection = HTTPConnection(*self.address, timeout=SECONDS)
        content = body if body is None or isinstance(body, bytes) else json.dumps(body)
        with closing(connection):
            connection.request(method, path, content, headers)
            response = connection.getresponse()
            return response.status, json.loads(response.read() or b"null")

    def text(self, method: str, path: str) -> tuple[int, str, str]:
        """Send a plain request, and return the response's status, content type and text."""
        connection = HTTPConnection(*self.address, timeout=SECONDS)
        with closing(connection):
            connection.request(method, path)
            response = connection.getresponse()
            content_type = response.getheader("Content-Type") or ""
            return response.status, content_type, response.read().decode()

    def metrics(self) -> dict[str, float]:
        """Scrape the gateway, and return the values by sample, `name{label="value"}`."""
        status, _, text = self.text("GET", f"/{self.stage}/metrics")
        assert status == 200, text
        return parse_metrics(text)

    def set_faults(self, **faults: Any) -> None:
        """Replace the faults."""
        status, answer = self.request("PUT", "/_local_gateway/faults", faults)
        assert status == 200, answer

    @property
    def connections(self) -> Any:
        return self._client("apigatewaymanagementapi", f"{self.http_url}/{self.stage}")

    @property
    def functions(self) -> Any:
        return self._client("lambda", self.http_url)

    def invoke(self, function: str, **event: Any) -> Any:
        """Invoke one of the application's functions, and return its result."""
        name = f"{self.app_name}-{self.stage}-{function}"
        response = self.functions.invoke(FunctionName=name, Payload=json.dumps(event))
        payload = json.load(response["Payload"])
        assert "FunctionError" not in response, payload
        return payload

    def next_event(self, route: str, principal: str, seconds: float = 10) -> Any:
        return self.invoke("next_event", route=route, principal=principal, seconds=seconds)

    app_name = "recorder"

    def _client(self, service: str, endpoint: str) -> Any:
        if service not in self._clients:
            self._clients[service] = boto3.client(
                service,
                endpoint_url=endpoint,
                region_name="us-east-1",
                aws_access_key_id="test",
                aws_secret_access_key="test",
                config=Config(retries={"total_max_attempts": 1}, max_pool_connections=64),
            )
        return self._clients[service]


_DUMMY_CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": "us-east-1",
}


@contextmanager
def serving(
    project: Path | str,
    *arguments: str,
    has_aws: bool = False,
    command: Sequence[str] = MODULE,
    **environment: str,
) -> Iterator[Server]:
    """Serve one of the applications in apps/, or a project with an absolute path."""
    server = Server(APPS / project, *arguments, has_aws=has_aws, command=command, **environment)
    try:
        server.wait_until_ready()
        yield server
    finally:
        if server.process.poll() is None:
            server.stop()


def parse_metrics(text: str) -> dict[str, float]:
    """Parse Prometheus' text format.

    Raises:
        ValueError: The text isn't valid.
    """
    values: dict[str, float] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = ",".join(f'{name}="{value}"' for name, value in sorted(sample.labels.items()))
            name = f"{sample.name}{{{labels}}}" if labels else sample.name
            assert name not in values, f"{name} appears twice"
            values[name] = sample.value
    return values


def write_project(folder: Path, app: str, config: str = '{"app_name": "x"}') -> Path:
    """Write a project with one module, and return its folder."""
    (folder / ".chalice").mkdir()
    (folder / ".chalice" / "config.json").write_text(config)
    (folder / "app.py").write_text(app)
    return folder


def until(holds: Callable[[], bool]) -> None:
    """Wait until a condition holds that a thread or process brings about."""
    deadline = time.monotonic() + SECONDS
    while not holds():
        assert time.monotonic() < deadline, "the condition doesn't hold"
        time.sleep(0.005)


def unique() -> str:
    """Return a principal or name that no other test uses."""
    return uuid4().hex
