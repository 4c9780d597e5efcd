"""The application loaded again when its sources change."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.devserver.serving import Server, serving

APP = """
from chalice import Chalice
from chalicelib.words import WORD

app = Chalice(app_name="reloaded")
app.experimental_feature_flags.update(["WEBSOCKETS"])


@app.on_ws_message()
def message(event):
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
    (tmp_path / "app.py").write_text(APP.format(greeting="hello"))
    return tmp_path


@pytest.fixture
def server(project: Path) -> Iterator[Server]:
    with serving(project) as running:
        yield running


def ask(client: object) -> str:
    client.send("?")
    return client.recv(10)


def test_code_that_does_not_import_is_reported_and_the_old_code_stays(
    server: Server, project: Path
) -> None:
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


def test_a_config_that_is_no_json_is_reported_and_the_old_code_stays(
    server: Server, project: Path
) -> None:
    (project / ".chalice" / "config.json").write_text("{")
    server.err.wait_for("not reloaded")
    with server.connect() as client:
        assert ask(client) == "hello world"


def test_an_open_connection_meets_the_new_code(server: Server, project: Path) -> None:
    with server.connect() as client:
        for count, greeting in enumerate(["howdy", "salve", "ahoi!"], 1):
            (project / "app.py").write_text(APP.format(greeting=greeting))
            server.out.wait_for("reloaded", count)
            assert ask(client) == f"{greeting} world"


def test_a_change_below_chalicelib_and_a_new_folder_there_are_seen(
    server: Server, project: Path
) -> None:
    folder = project / "chalicelib" / "new"
    folder.mkdir()
    (folder / "__init__.py").write_text("WORD = 'sun'")
    (project / "chalicelib" / "words.py").write_text("from chalicelib.new import WORD")
    server.out.wait_for("reloaded")
    with server.connect() as client:
        assert ask(client) == "hello sun"


def test_a_file_replaced_as_editors_do_it_is_seen(server: Server, project: Path) -> None:
    (project / "app.py.tmp").write_text(APP.format(greeting="salve"))
    shutil.move(project / "app.py.tmp", project / "app.py")
    server.out.wait_for("reloaded")
    with server.connect() as client:
        assert ask(client) == "salve world"


def test_a_changed_variable_of_the_stage_is_taken_over(server: Server, project: Path) -> None:
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
