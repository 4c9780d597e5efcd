"""ministack in a child process."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

from local_gateway import forks, scratch, stand_ins

REGION: Final = "us-east-1"
START_SECONDS: Final = 30
STOP_SECONDS: Final = 5
PORT_ATTEMPTS: Final = 3
"""Attempts to start on a free port. Another process can take the port before ministack binds it."""

_SERVICES: Final = ("dynamodb", "cognito-idp")

# The child exits when its standard input closes, which happens however the parent exits.
_CHILD: Final = """
import os, sys, threading
threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
_, package_folder, fault_seed = sys.argv
sys.path.append(package_folder)
from local_gateway import cognito_ids, page_guard, public_buckets, stand_ins
from local_gateway.dynamodb_faults import FaultyDynamoDb
cognito_ids.fix_ids_if_requested()
from ministack import app as ministack
app = stand_ins.add_requested(FaultyDynamoDb(ministack.app, int(fault_seed)))
ministack.app = public_buckets.serve(app, beside=page_guard.guard(app))
sys.argv = ["ministack"]
ministack.main()
"""


OnExit = Callable[[str], None]
"""Receives the cause if ministack exits on its own. Called from a thread."""


class EmbeddedAwsError(Exception):
    """ministack didn't start. The message explains why, or contains the end of its log."""


@contextmanager
def ministack(
    fault_seed: int = 0, on_exit: OnExit | None = None, /, *, port: int = 0, **settings: str
) -> Iterator[str]:
    """Run ministack on a loopback port.

    Args:
        fault_seed: Random seed of DynamoDB's faults. No fault is set at the start.
        on_exit: Receives the cause if ministack exits on its own.
        port: The port; 0 for any free port.
        **settings: Environment variables of ministack, as its documentation lists them.

    Yields:
        The endpoint URL.

    Raises:
        EmbeddedAwsError: ministack didn't start.
    """
    with scratch.folder("ministack-") as folder, ExitStack() as stack:
        process, endpoint_url = _start(stack, folder, settings, fault_seed, port)
        is_stopping = threading.Event()
        stack.callback(is_stopping.set)
        if on_exit is not None:
            arguments = (process, is_stopping, on_exit)
            threading.Thread(target=_watch, args=arguments, daemon=True).start()
        yield endpoint_url


def client(service: str, endpoint_url: str) -> Any:
    """Return a boto3 client whose credentials are valid for the embedded AWS only."""
    import boto3

    return boto3.client(
        service,  # type: ignore[call-overload]
        endpoint_url=endpoint_url,
        region_name=REGION,
        aws_access_key_id="local",
        aws_secret_access_key="local",  # noqa: S106
    )


def _start(
    stack: ExitStack, folder: Path, settings: Mapping[str, str], fault_seed: int, wanted_port: int
) -> tuple["subprocess.Popen[bytes]", str]:
    """Start the child, which ends with the stack, whether or not it gets ready."""
    log = folder / "log"
    for _ in range(1 if wanted_port else PORT_ATTEMPTS):
        port = _free_port(wanted_port)
        process = _spawn(port, folder, log, settings, fault_seed)
        stack.callback(_stop, process)
        if process.stdin:
            forks.close_in_forks(process.stdin)
        endpoint_url = f"http://127.0.0.1:{port}"
        for service in _SERVICES:  # Loads boto3 and the services' models while ministack starts.
            client(service, endpoint_url)
        if _wait_until_ready(process, endpoint_url):
            return process, endpoint_url
        if process.poll() == stand_ins.NOT_FOUND_EXIT_CODE:
            raise EmbeddedAwsError(log.read_text().splitlines()[-1])
        _stop(process)
    raise EmbeddedAwsError(f"ministack did not start:\n{log.read_text()[-2000:]}")


def _spawn(
    port: int, folder: Path, log: Path, settings: Mapping[str, str], fault_seed: int
) -> "subprocess.Popen[bytes]":
    environment = {
        **os.environ,
        "GATEWAY_PORT": str(port),
        "BIND_HOST": "127.0.0.1",
        "IOT_MTLS_ENABLED": "0",
        "LOG_LEVEL": "WARNING",
        "TMPDIR": str(folder),
        "STATE_DIR": str(folder / "state"),
        "S3_DATA_DIR": str(folder / "s3"),
        **settings,
    }
    with log.open("w") as output:
        return subprocess.Popen(  # noqa: S603
            # -P: modules of the current folder must not hide those of the project.
            [sys.executable, "-P", "-c", _CHILD, str(Path(__file__).parents[2]), str(fault_seed)],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
            # In its own session, Ctrl-C doesn't reach it. The gateway's last events still need it.
            start_new_session=True,
            env=environment,
        )


def _stop(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdin:
        process.stdin.close()


def _watch(
    process: "subprocess.Popen[bytes]", is_stopping: threading.Event, on_exit: OnExit
) -> None:
    code = process.wait()
    if not is_stopping.is_set():
        on_exit(signal.Signals(-code).name if code < 0 else f"exit status {code}")


def _wait_until_ready(process: "subprocess.Popen[bytes]", endpoint_url: str) -> bool:
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        try:
            urllib.request.urlopen(f"{endpoint_url}/_ministack/health", timeout=1).close()  # noqa: S310
        except (urllib.error.URLError, OSError):
            time.sleep(0.02)
        else:
            return True
    return False


def _free_port(wanted_port: int = 0) -> int:
    with socket.socket() as probe:
        # As servers do: without this option, recently closed connections block the port.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", wanted_port))
        except OSError as error:
            raise EmbeddedAwsError(
                f"port {wanted_port} of 127.0.0.1 can't be used: {error.strerror}"
            ) from None
        port: int = probe.getsockname()[1]
        return port
