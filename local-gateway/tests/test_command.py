"""The command's start, shutdown and output."""

import json
import re
import signal
import socket
import time
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

import local_gateway
from gateway_support.serving import APPS, SECONDS, Server, serving, write_project


def fail(project: Path, *arguments: str) -> str:
    """Start a server that can't start, and return its error message."""
    server = Server(project, *arguments)
    assert server.process.wait(SECONDS) == 1
    assert server.out.join() == ""
    return server.err.join()


def test_a_port_in_use_is_reported_in_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        said = fail(tmp_path, "--port", str(taken.getsockname()[1]))
    assert said.count("\n") == 1
    assert "Address already in use" in said


@pytest.mark.parametrize(
    ("option", "value"),
    [
        *(("--port", value) for value in ("70000", "65536", "-1", "abc", "", "8e3")),
        *(("--idle-timeout-seconds", value) for value in ("-3", "0", "nan", "inf", "soon")),
        *(("--connection-lifetime-seconds", value) for value in ("0", "-1")),
        ("--host", ""),
        *(("--stage", value) for value in ("", "a b", "a/b", "$default", "é", "s" * 129)),
        *(("--source-ip-header", value) for value in ("", "X Source", "X:", "é")),
    ],
)
def test_an_invalid_option_is_reported_in_one_line(tmp_path: Path, option: str, value: str) -> None:
    server = Server(tmp_path, option, value)
    assert server.process.wait(SECONDS) == 2
    assert server.out.join() == ""
    said = server.err.join()
    assert said.count("\n") == 1
    assert said.startswith(f"chalice-local-gateway: argument {option}: must be ")
    assert repr(value) in said


@pytest.mark.parametrize("host", ["nowhere.invalid", "a" * 64, "a..b"])
def test_an_unknown_host_is_reported_in_one_line(tmp_path: Path, host: str) -> None:
    said = fail(tmp_path, "--host", host)
    assert said.count("\n") == 1
    assert said.startswith(f"chalice-local-gateway: can't listen on {host}:0: ")


def test_the_version_is_the_distributions(tmp_path: Path) -> None:
    server = Server(tmp_path, "--version")
    assert server.process.wait(SECONDS) == 0
    assert server.out.join() == f"chalice-local-gateway {local_gateway.__version__}\n"


def test_nothing_listens_before_the_application_is_loaded(tmp_path: Path) -> None:
    app = f"""
import os, socket
from urllib.parse import urlsplit
from chalice import Chalice
app = Chalice("x")
url = urlsplit(os.environ["AWS_ENDPOINT_URL_LAMBDA"])
with socket.socket() as client:
    code = client.connect_ex((url.hostname, url.port))
open({str(tmp_path / "code")!r}, "w").write(os.strerror(code))
"""
    with serving(write_project(tmp_path, app)):
        assert (tmp_path / "code").read_text() == "Connection refused"


def test_a_folder_without_a_project_is_reported_in_one_line(tmp_path: Path) -> None:
    said = fail(tmp_path)
    assert said.count("\n") == 1
    assert "config.json" in said


@pytest.mark.parametrize("config", ["{", "[]", "{}", "[" * 200_000])
def test_an_unreadable_configuration_is_reported_in_one_line(tmp_path: Path, config: str) -> None:
    said = fail(write_project(tmp_path, "", config))
    assert said.count("\n") == 1
    assert "config.json" in said


@pytest.mark.parametrize(
    ("app", "expected"),
    [
        ("import nowhere_to_be_found", "ModuleNotFoundError"),
        ("def broken(:", "SyntaxError"),
        ("", "has no attribute 'app'"),
        ("raise SystemExit(3)", "SystemExit"),
        (
            "from chalice import Chalice\napp = Chalice('x')\n"
            "@app.on_ws_message()\ndef message(event): pass\n",
            "experimental_feature_flags",
        ),
    ],
)
def test_an_app_that_cannot_be_imported_is_reported(
    tmp_path: Path, app: str, expected: str
) -> None:
    assert expected in fail(write_project(tmp_path, app))


@pytest.mark.parametrize("error", ["ValueError", "OSError", "RuntimeError"])
def test_an_error_of_the_app_has_a_traceback_of_its_own_frames(tmp_path: Path, error: str) -> None:
    project = write_project(tmp_path, "from chalicelib.rooms import ROOMS\n")
    (project / "chalicelib").mkdir()
    rooms = project / "chalicelib" / "rooms.py"
    calls = "".join(f"def f{n}(): f{n + 1}()\n" for n in range(20))
    rooms.write_text(f"{calls}def f20(): raise {error}('no rooms')\nf0()\n")
    said = fail(project).splitlines()
    assert said[:5] == [
        f"chalice-local-gateway: can't import app.py: {error}: no rooms",
        "Traceback (most recent call last):",
        f'  File "{project / "app.py"}", line 1, in <module>',
        "    from chalicelib.rooms import ROOMS",
        f'  File "{rooms}", line 22, in <module>',
    ]
    assert said[-1] == f"{error}: no rooms"
    assert sum("File " in line for line in said) == 23


def test_a_project_without_an_app_is_reported_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(APPS / "empty")  # Python would import this folder's app.py.
    project = write_project(tmp_path, "")
    (project / "app.py").unlink()
    assert fail(project) == (
        f"chalice-local-gateway: not a Chalice project: {project} has no app.py\n"
    )


def test_an_app_that_exits_with_a_message_is_reported_by_the_message(tmp_path: Path) -> None:
    app = "import sys\nsys.exit('MAX_GUESTS must be a number')"
    said = fail(write_project(tmp_path, app))
    assert said == "chalice-local-gateway: MAX_GUESTS must be a number\n"


def test_an_invalid_module_is_reported_even_if_nothing_imports_it(
    tmp_path: Path,
) -> None:
    project = write_project(tmp_path, "from chalice import Chalice\napp = Chalice('x')\n")
    (project / "chalicelib" / "part").mkdir(parents=True)
    (project / "chalicelib" / "part" / "__init__.py").write_text("x = 1\n\ny = (\n")
    said = fail(project)
    assert said == (
        "chalice-local-gateway: chalicelib/part/__init__.py:3: SyntaxError: '(' was never closed\n"
    )


@pytest.mark.parametrize("name", ["nobody", "clean_up", "websocket_connect", "connect"])
def test_an_authorizer_that_is_no_lambda_function_is_reported(tmp_path: Path, name: str) -> None:
    config = {"app_name": "x", "stages": {"dev": {"websocket_api": {"authorizer_function": name}}}}
    app = """
from chalice import Chalice
app = Chalice("x")
app.experimental_feature_flags.update(["WEBSOCKETS"])

@app.on_ws_connect()
def connect(event): pass

@app.schedule("rate(1 day)")
def clean_up(event): pass
"""
    assert fail(write_project(tmp_path, app, json.dumps(config)), "--stage", "dev") == (
        "chalice-local-gateway: websocket_api.authorizer_function: "
        f"app.py has no function {name!r} with @app.lambda_function()\n"
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_closes_connections_and_runs_disconnect(tmp_path: Path, number: int) -> None:
    record = tmp_path / "record"
    with serving("recorder", RECORD_FILE=str(record)) as server, server.connect() as client:
        client.send("sleep 0.5")
        client.ping().wait(10)  # The pong shows that the server has received the message before it.
        code = server.stop(number)
        with pytest.raises(ConnectionClosed) as closed:
            client.recv()

    assert code == 0
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1001
    assert record.read_text() == "1001\n"
    said = re.sub(
        r"\S+ #1 \$disconnect failed\n(.*\n)*RuntimeError: only the log.*\n", "", server.err.join()
    )
    assert said == ""


def test_a_second_interrupt_does_not_wait_for_hanging_handlers() -> None:
    with serving("recorder") as server, server.connect() as client:
        client.send("wait x")
        server.invoke("next_started", name="x")
        started = time.monotonic()
        server.process.send_signal(signal.SIGINT)
        with pytest.raises(ConnectionClosed):
            client.recv()
        assert server.stop() == 0
        assert time.monotonic() - started < 4


@pytest.mark.parametrize(
    "code",
    [
        "ThreadPoolExecutor(1).submit(threading.Event().wait)",
        "threading.Thread(target=threading.Event().wait).start()",
        "atexit.register(threading.Event().wait)",
    ],
)
def test_an_interrupt_ends_the_process_while_the_application_is_busy(
    tmp_path: Path, code: str
) -> None:
    app = f"""
import atexit, threading
from concurrent.futures import ThreadPoolExecutor
from chalice import Chalice
app = Chalice("x")
{code}
"""
    with serving(write_project(tmp_path, app)) as server:
        assert server.stop() == 0
    assert server.err.join() == ""


def test_an_exit_runs_the_applications_exit_functions(tmp_path: Path) -> None:
    app = """
import atexit
from chalice import Chalice
app = Chalice("x")
atexit.register(print, "bye")
"""
    with serving(write_project(tmp_path, app)) as server:
        server.stop()
    assert server.out.join().endswith("bye\n")


def test_a_disconnect_handler_can_use_the_server_while_it_stops(tmp_path: Path) -> None:
    app = """
import os
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen
from chalice import Chalice
app = Chalice("x")
app.experimental_feature_flags.update(["WEBSOCKETS"])

@app.on_ws_disconnect()
def disconnect(event):
    url = os.environ["AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI"] + "/@connections/"
    try:
        urlopen(url + event.connection_id)
    except HTTPError as error:
        Path(os.environ["RECORD_FILE"]).write_text(str(error.code))
"""
    record = tmp_path / "record"
    with serving(write_project(tmp_path, app), RECORD_FILE=str(record)) as server, server.connect():
        server.stop()
    assert record.read_text() == "410"


def test_the_ready_line_is_the_only_one_before_events() -> None:
    with serving("recorder") as server:
        assert server.out.lines == [f"ready: ws://127.0.0.1:{server.address[1]}/local\n"]


def test_hints_contain_the_servers_port() -> None:
    hints = ("--hint", "chat demo --port {port}", "--hint", "chat token --port {port}")
    with serving("recorder", *hints) as server:
        port = server.address[1]
        server.out.wait_for("token")
        assert server.out.lines == [
            f"ready: ws://127.0.0.1:{port}/local\n",
            f"about this gateway: http://127.0.0.1:{port}/\n",
            "try next, in another terminal:\n",
            f"  chat demo --port {port}\n",
            f"  chat token --port {port}\n",
        ]


def test_notes_follow_the_ready_line() -> None:
    options = ("--note", "nothing is translated", "--hint", "chat", "--note", "second")
    with serving("recorder", *options) as server:
        server.out.wait_for("  chat")
        assert server.out.lines[1:3] == ["nothing is translated\n", "second\n"]


def test_the_log_has_one_line_per_event_and_no_secrets(principal: str) -> None:
    with serving("recorder") as server:
        with server.connect(principal, token="t0p-secret") as client:
            client.send("id")
            connection_id = client.recv()
            client.send("s3cret-body")
            client.recv()
            server.connections.post_to_connection(ConnectionId=connection_id, Data=b"p0st")
        server.out.wait_for("$disconnect")
        said = "".join(server.out.lines[1:])

    names = [line.split(" ", 1)[1].rsplit(" ", 2)[0] for line in said.splitlines()]
    assert names == [
        "#1 authorizer allow",
        "#1 $connect 200",
        "#1 $default replied",
        "#1 $default replied",
        "#1 @connections POST 200",
        "#1 $disconnect 1000 failed",
    ]
    for secret in (connection_id, principal, "t0p-secret", "s3cret-body", "p0st", "127.0.0.1"):
        assert secret not in said


def test_a_line_contains_the_action_if_it_is_a_plain_name(tmp_path: Path) -> None:
    app = """
from chalice import Chalice
app = Chalice("x")
app.experimental_feature_flags.update(["WEBSOCKETS"])

@app.on_ws_connect()
def connect(event):
    return {"statusCode": 404 if event.to_dict().get("queryStringParameters", {}).get("x") else 200}

@app.on_ws_message()
def message(event):
    if "fails" in event.body:
        raise RuntimeError
    return {"statusCode": 200, "body": "answer"} if "action" in event.body else {}
"""
    config = '{"app_name": "x", "websocket_api": {"route_responses": ["$default"]}}'
    with serving(write_project(tmp_path, app, config)) as server:
        with pytest.raises(InvalidStatus):
            server.connect(action="joinRoom", x="1", token="t0p-secret")
        with server.connect(action="joinRoom") as client:
            for action in ("ping", "t0p.secret", "fails"):
                client.send(f'{{"action": "{action}", "x": "{action}"}}')
                client.recv()
            client.send("t0p-secret")
        server.out.wait_for("$default ok")
        said = "".join(server.out.lines[1:])
    names = [line.split(" ", 1)[1].rsplit(" ", 2)[0] for line in said.splitlines()]
    assert names == [
        "#1 $connect joinRoom 404",
        "#2 $connect joinRoom 200",
        "#2 ping 200",
        "#2 $default replied",
        "#2 fails Internal server error",
        "#2 $default ok",
    ]
    assert "secret" not in said


def test_quiet_logs_no_events() -> None:
    with serving("recorder", "--quiet") as server, server.connect() as client:
        client.send("hello")
        client.recv()
        server.stop()
    assert len(server.out.lines) == 1


def test_the_environment_overrides_the_configuration() -> None:
    with serving("recorder") as server, server.connect() as client:
        client.send("environment GREETING")
        assert client.recv() == "from config.json"
    with serving("recorder", GREETING="mine") as server, server.connect() as client:
        client.send("environment GREETING")
        assert client.recv() == "mine"


def test_the_applications_endpoints_are_this_server(server: Server) -> None:
    expected = {
        "AWS_ENDPOINT_URL_LAMBDA": server.http_url,
        "AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI": f"{server.http_url}/local",
        "AWS_REGION": "us-east-1",
    }
    with server.connect() as client:
        for name, value in expected.items():
            client.send(f"environment {name}")
            assert client.recv() == value


def test_the_server_uses_less_than_45_mib_without_botocore() -> None:
    with serving("recorder") as server:
        maps = Path(f"/proc/{server.process.pid}/status").read_text()
        resident = re.search(r"VmRSS:\s+(\d+) kB", maps)
    assert resident is not None
    assert int(resident[1]) < 45 * 1024
