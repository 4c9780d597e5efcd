"""Reloading of the application after a change of its sources."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway_support.serving import Server, serving

APP = """
from chalice import Chalice
from chalicelib.words import WORD

app = Chalice(app_name="reloaded")
app.experimental_feature_flags.update(["WEBSOCKETS"])


@app.on_ws_message()
def message(event):
    if event.body == "when?":
        from chalicelib import lazy
        return {{"body": lazy.WHEN}}
    return {{"body": "{greeting} " + WORD}}
"""
CONFIG = '{"version": "2.0", "app_name": "x", "websocket_api": {"route_responses": ["$default"]}}'


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / ".chalice").mkdir()
    (tmp_path / ".chalice" / "config.json").write_text(CONFIG)
    (tmp_path / "chalicelib").mkdir()
    (tmp_path / "chalicelib" / "__init__.py").touch()
    (tmp_path / "chalicelib" / "words.py").write_text("WORD = 'world'")
    (tmp_path / "chalicelib" / "lazy.py").write_text("WHEN = 'now'")
    (tmp_path / "app.py").write_text(APP.format(greeting="hello"))
    return tmp_path


@pytest.fixture
def server(project: Path) -> Iterator[Server]:
    with serving(project) as running:
        yield running


def ask(client: object, question: str = "?") -> str:
    client.send(question)
    return client.recv(10)


def test_invalid_code_is_reported_and_the_old_code_stays(server: Server, project: Path) -> None:
    with server.connect() as client:
        (project / "app.py").write_text("def broken(:\n")
        server.err.wait_for("SyntaxError")
        assert ask(client) == "hello world"

        (project / "chalicelib" / "words.py").write_text("raise RuntimeError('unlucky')")
        (project / "app.py").write_text(APP.format(greeting="bye"))
        server.err.wait_for("RuntimeError: unlucky")
        assert ask(client) == "hello world"

        (project / "chalicelib" / "words.py").write_text("WORD = 'moon'")
        server.out.wait_for("reloaded")
        assert ask(client) == "bye moon"


def test_any_mistake_in_app_py_leaves_the_gateway_reloading(server: Server, project: Path) -> None:
    with server.connect() as client:
        (project / "app.py").write_text("raise KeyboardInterrupt\n")
        server.err.wait_for("KeyboardInterrupt")
        (project / "app.py").write_text("app = 5\n")
        server.err.wait_for("app.py: 'app' isn't a Chalice application")
        assert ask(client) == "hello world"

        (project / "app.py").write_text(APP.format(greeting="bye"))
        server.out.wait_for("reloaded")
        assert ask(client) == "bye world"


@pytest.mark.parametrize("is_imported", [True, False])
def test_an_invalid_module_is_reported_in_one_line_even_if_imported_lazily(
    server: Server, project: Path, is_imported: bool
) -> None:
    with server.connect() as client:
        if is_imported:
            assert ask(client, "when?") == "now"
        (project / "chalicelib" / "lazy.py").write_text("WHEN = 'then'\ndef broken(:\n")
        line = server.err.wait_for("not reloaded")
        assert line.split(" ", 1)[1] == (
            "not reloaded, the old code stays in use: "
            "chalicelib/lazy.py:2: SyntaxError: invalid syntax\n"
        )
        assert ask(client, "when?") == "now"
        assert ask(client) == "hello world"

        (project / "chalicelib" / "lazy.py").write_text("WHEN = 'then'\n")
        server.out.wait_for("reloaded")
        assert ask(client, "when?") == "then"
    server.stop()
    assert server.err.lines == [line]
    assert [line for line in server.out.lines if "failed" in line or "error" in line] == []


def test_an_invalid_lazy_module_is_reported_if_the_old_code_used_it(
    server: Server, project: Path
) -> None:
    with server.connect() as client:
        assert ask(client, "when?") == "now"
        (project / "chalicelib" / "lazy.py").write_text("import nowhere_to_be_found")
        line = server.err.wait_for("not reloaded")
        assert "can't import chalicelib.lazy: ModuleNotFoundError: No module named" in line
        assert ask(client, "when?") == "now"


def test_a_refused_setting_is_reported_in_one_line_and_the_old_code_stays(
    server: Server, project: Path
) -> None:
    app = (project / "app.py").read_text()
    check = "import os, sys\nif 'GREETING' in os.environ: sys.exit('GREETING is no greeting')\n"
    answer = '__import__("os").environ.get("GREETING", "hello") + " "'
    (project / "app.py").write_text(check + app.replace('"hello "', answer))
    server.out.wait_for("reloaded")
    variables = '{"environment_variables": {"GREETING": "salve"}, '
    (project / ".chalice" / "config.json").write_text(variables + CONFIG[1:])
    line = server.err.wait_for("GREETING")
    assert line.split(" ", 1)[1] == (
        "not reloaded, the old code stays in use: GREETING is no greeting\n"
    )
    with server.connect() as client:
        assert ask(client) == "hello world"
    server.stop()
    assert server.err.lines == [line]


def test_an_invalid_configuration_is_reported_and_the_old_code_stays(
    server: Server, project: Path
) -> None:
    (project / ".chalice" / "config.json").write_text("{")
    server.err.wait_for("not reloaded")
    with server.connect() as client:
        assert ask(client) == "hello world"


def test_an_open_connection_uses_the_new_code(server: Server, project: Path) -> None:
    with server.connect() as client:
        for count, greeting in enumerate(["howdy", "salve", "ahoi!"], 1):
            (project / "app.py").write_text(APP.format(greeting=greeting))
            server.out.wait_for("reloaded", count)
            assert ask(client) == f"{greeting} world"


def test_changes_and_new_folders_below_chalicelib_are_detected(
    server: Server, project: Path
) -> None:
    folder = project / "chalicelib" / "new"
    folder.mkdir()
    (folder / "__init__.py").write_text("WORD = 'sun'")
    (project / "chalicelib" / "words.py").write_text("from chalicelib.new import WORD")
    server.out.wait_for("reloaded")
    with server.connect() as client:
        assert ask(client) == "hello sun"


def test_a_file_replaced_by_an_editor_is_detected(server: Server, project: Path) -> None:
    (project / "app.py.tmp").write_text(APP.format(greeting="salve"))
    shutil.move(project / "app.py.tmp", project / "app.py")
    server.out.wait_for("reloaded")
    with server.connect() as client:
        assert ask(client) == "salve world"


def test_a_changed_variable_of_the_stage_is_applied(server: Server, project: Path) -> None:
    app = (project / "app.py").read_text()
    app = app.replace('"hello "', '__import__("os").environ["GREETING"] + " "')
    (project / "app.py").write_text(app)
    for count, greeting in enumerate(["salve", "ahoi"], 1):
        variables = f'{{"environment_variables": {{"GREETING": "{greeting}"}}, '
        (project / ".chalice" / "config.json").write_text(variables + CONFIG[1:])
        server.out.wait_for("reloaded", count)
        with server.connect() as client:
            assert ask(client) == f"{greeting} world"


def test_without_reload_changes_are_ignored(project: Path) -> None:
    with serving(project, "--no-reload") as server, server.connect() as client:
        (project / "app.py").write_text("def broken(:\n")
        assert ask(client) == "hello world"
    assert "not reloaded" not in "".join(server.err.lines)


def test_faults_of_a_removed_function_can_be_changed(server: Server, project: Path) -> None:
    server.set_faults(handler_raises_share=1, handler_only="$default")
    handler = APP.index("@app.on_ws_message()")
    (project / "app.py").write_text(APP[:handler])
    server.out.wait_for("reloaded")
    path = "/_local_gateway/faults"
    status, faults = server.request("PATCH", path, {"post_slow_ms": 5})
    assert (status, faults["post_slow_ms"], faults["handler_only"]) == (200, 5, "$default")
    status, answer = server.request("PATCH", path, {"handler_only": "$default"})
    assert (status, "doesn't exist" in answer["message"]) == (400, True)
    status, faults = server.request("PATCH", path, {"handler_only": None})
    assert (status, faults["handler_only"]) == (200, None)


TABLE = {"partition_key": {"name": "id", "type": "S"}}


def test_settings_that_only_a_restart_applies_are_named(project: Path) -> None:
    config = {**json.loads(CONFIG), "local_gateway": {"aws": {"tables": "data/tables.json"}}}
    (project / ".chalice" / "config.json").write_text(json.dumps(config))
    (project / "data").mkdir()
    tables = project / "data" / "tables.json"
    tables.write_text(json.dumps({"rooms": TABLE}))
    with serving(project, has_aws=True) as server:
        tables.write_text(json.dumps({"rooms": {}}))
        line = server.err.wait_for("not reloaded")
        assert line.endswith(": data/tables.json: rooms.partition_key is missing\n")

        tables.write_text(json.dumps({"rooms": TABLE, "guests": TABLE}))
        line = server.out.wait_for("restart")
        assert line.split(" ", 1)[1] == (
            "restart the gateway to apply the changed local_gateway.aws.tables\n"
        )

        config["app_name"] = "y"
        (project / ".chalice" / "config.json").write_text(json.dumps(config))
        server.out.wait_for("apply the changed app_name, local_gateway.aws.tables\n")

        (project / ".chalice" / "config.json").write_text(CONFIG)
        server.out.wait_for("apply the changed local_gateway.aws\n")


def test_an_embedded_aws_that_is_added_needs_a_restart(project: Path) -> None:
    config = json.dumps({**json.loads(CONFIG), "local_gateway": {"aws": {}}})
    with serving(project, has_aws=True) as server:
        (project / ".chalice" / "config.json").write_text(config)
        server.out.wait_for("restart the gateway to apply the changed local_gateway.aws\n")
    with serving(project) as server:
        (project / "app.py").write_text(APP.format(greeting="salve"))
        server.out.wait_for("reloaded")
        server.stop()
        assert "restart" not in "".join(server.out.lines)
