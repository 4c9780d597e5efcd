"""Metrics of a served application and its standard output."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from gateway_support.emf_lines import emf
from gateway_support.serving import APPS, Server, serving, write_project

HITS = "test_app_hits_total"


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serving("printer", "--no-reload") as running:
        yield running


def send_commands(server: Server, *commands: str) -> None:
    """Send commands to the application, and wait for each response."""
    with server.connect() as client:
        for command in commands:
            client.send(command)
            assert client.recv() == "done"


# Requests.


@pytest.mark.parametrize("method", ["HEAD", "POST", "PUT", "DELETE", "OPTIONS"])
def test_metrics_accept_get_only(server: Server, method: str) -> None:
    status, _, body = server.text(method, "/local/metrics")
    assert status == 405
    assert ("metrics accepts GET only" in body) == (method != "HEAD")


@pytest.mark.parametrize("path", ["/metrics", "/other/metrics", "/local/metrics/", "/local/metric"])
def test_metrics_have_no_other_path(server: Server, path: str) -> None:
    assert server.text("GET", path)[0] == 403


def test_metrics_open_no_websocket(server: Server) -> None:
    with pytest.raises(InvalidStatus) as refused, connect(f"{server.url}/metrics"):
        pass
    assert refused.value.response.status_code == 403


def test_a_response_to_head_has_no_body(server: Server) -> None:
    with server.raw() as client:
        client.sendall(
            b"HEAD /local HTTP/1.1\r\n\r\nGET /other HTTP/1.1\r\nConnection: close\r\n\r\n"
        )
        answer = b""
        while received := client.recv(65536):
            answer += received
    first, _, rest = answer.partition(b"\r\n\r\n")
    assert first.startswith(b"HTTP/1.1 403 ")
    assert rest.startswith(b"HTTP/1.1 403 ")  # The response to the GET request, without a body.


def test_the_content_type_is_the_text_format(server: Server) -> None:
    content_type = server.text("GET", "/local/metrics?a=b")[1]
    assert content_type == "text/plain; version=0.0.4; charset=utf-8"


# The application's output.


@pytest.mark.parametrize(
    "line",
    [
        '{"_aws": true}',
        emf({"Bad": 1}, "Furlongs"),
        emf({"Bad": 1}, "Count", [["Code"]]),
        emf({"Bad": -1}),
        "prefix " + emf({"Bad": 1}),
    ],
)
def test_an_invalid_line_is_printed_unchanged(server: Server, line: str) -> None:
    send_commands(server, f"write {line}\n", f"log {line}")
    assert server.out.wait_for(line, 2) == f"{line}\n"
    assert not any("bad" in name for name in server.metrics())


def test_metrics_are_extracted_and_other_output_is_unchanged() -> None:
    with serving("printer", "--no-reload", "--quiet") as server:
        line = emf({"Hits": 2})
        send_commands(
            server, "write a\n", f"log {line}", "write b {} ", "write c\n", f"write {line}\n"
        )
        send_commands(server, 'log {"level": "WARNING"}', f"complain {line}")
        assert server.err.wait_for(line) == f"{line}\n"
        assert server.metrics()[HITS + '{stage="local"}'] == 4
        server.stop()
        assert server.out.lines[1:] == ["a\n", "b {} \n", "c\n", '{"level": "WARNING"}\n']


def test_a_partial_line_ends_with_its_invocation(server: Server) -> None:
    send_commands(server, "write half a line")
    assert server.out.wait_for("half a line") == "half a line\n"


def test_thousands_of_concurrent_lines_are_all_counted() -> None:
    with serving("printer", "--no-reload", "--quiet") as server:
        send_commands(server, *["concurrently " + emf({"Hits": 1, "Total": 2})] * 3)
        values = server.metrics()
        assert values[HITS + '{stage="local"}'] == 6000
        assert values['test_app_total_total{stage="local"}'] == 12_000
        server.stop()
        numbered = [f"line {number}\n" for number in range(250)]
        assert sorted(server.out.lines[1:]) == sorted(numbered * 24)


# The metrics in responses.


def test_a_metric_appears_once_with_all_of_its_labels(server: Server) -> None:
    by_code = [["Stage"], ["Stage", "Code"]]
    for code, value in (("A", 1), ("B", 2), ('"\\\n', 4)):
        send_commands(server, "log " + emf({"Errors": value}, "Count", by_code, Code=code))
    errors = {name: it for name, it in server.metrics().items() if "errors" in name}
    assert errors == {
        'test_app_errors_total{code="A",stage="local"}': 1,
        'test_app_errors_total{code="B",stage="local"}': 2,
        'test_app_errors_total{code=""\\\n",stage="local"}': 4,
    }


def test_the_unit_determines_the_aggregation(server: Server) -> None:
    for value in range(1, 101):
        send_commands(server, "log " + emf({"Wait": value}, "Milliseconds", []))
    send_commands(
        server, "log " + emf({"Load": 3}, "None", []), "log " + emf({"Load": 2}, None, [])
    )
    values = server.metrics()
    assert values["test_app_load"] == 2
    assert values["test_app_wait_milliseconds_sum"] == 5050
    assert values["test_app_wait_milliseconds_count"] == 100
    assert [values[f'test_app_wait_milliseconds{{quantile="{share}"}}'] for share in QUANTILES] == [
        50,
        95,
        99,
    ]


QUANTILES = (0.5, 0.95, 0.99)


def test_connections_and_events_are_counted_in_quiet_mode() -> None:
    with serving("recorder", "--no-reload", "--quiet") as server:
        assert server.metrics() == {"local_gateway_open_connections": 0}
        with server.connect() as client:
            client.send("id")
            client.recv()
            assert server.metrics()["local_gateway_open_connections"] == 1
        with pytest.raises(InvalidStatus):
            server.connect(effect="Deny")
        server.err.wait_for("$disconnect failed")
        assert server.metrics() == {
            "local_gateway_open_connections": 0,
            'local_gateway_events_total{outcome="200",route="$connect"}': 1,
            'local_gateway_events_total{outcome="replied",route="$default"}': 1,
            'local_gateway_events_total{outcome="failed",route="$disconnect"}': 1,
            'local_gateway_events_total{outcome="allow",route="authorizer"}': 1,
            'local_gateway_events_total{outcome="403",route="authorizer"}': 1,
        }


def test_a_reload_keeps_the_counts(tmp_path: Path) -> None:
    config = (APPS / "printer" / ".chalice" / "config.json").read_text()
    app = (APPS / "printer" / "app.py").read_text()
    project = write_project(tmp_path, app, config)
    with serving(project) as server:
        send_commands(server, "log " + emf({"Hits": 1}))
        (project / "app.py").write_text(app.replace("import logging", "import logging  # again"))
        server.out.wait_for("reloaded")
        send_commands(server, "log " + emf({"Hits": 2}))
        assert server.metrics()[HITS + '{stage="local"}'] == 3
        assert not [line for line in server.out.lines if "_aws" in line]
