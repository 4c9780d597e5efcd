"""What `make emulate` refuses before anything is started, and the port that it keeps."""

import shlex
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from devserver import aws, scratch
from devserver.aws import EmbeddedAwsError
from operations import emulate, running_emulation


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(running_emulation, "FILE", tmp_path / "emulate.json")
    return tmp_path


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.mark.parametrize("port", ["70000", "-1", "http"])
def test_what_is_no_port_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], port: str
) -> None:
    monkeypatch.setattr(sys, "argv", ["emulate", f"--port={port}"])
    with pytest.raises(SystemExit):
        emulate.main()
    assert f"must be a number from 0 to 65535, not '{port}'" in capsys.readouterr().err


def test_a_port_that_is_taken_is_said_and_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    folder: Path,
    taken_port: int,
) -> None:
    monkeypatch.setattr(sys, "argv", ["emulate", "--port", str(taken_port)])
    assert emulate.main() == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    last = printed.err.splitlines()[-1]
    assert last == f"emulate: port {taken_port} of 127.0.0.1 can't be used: Address already in use"
    assert list(folder.iterdir()) == []


def test_the_next_commands_to_try_are_verbs_for_the_emulator(tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text('#!/bin/sh\necho "$2 $3"\n')
    python.chmod(0o755)
    unmade = ["--silent", "--old-file", ".venv/.installed", f"BIN={tmp_path}"]
    commands = [line.strip() for line in emulate.READY.splitlines() if line.startswith("  make ")]
    ran = [
        subprocess.run(
            [*shlex.split(command, comments=True), *unmade],
            cwd=emulate.ROOT,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for command in commands
    ]
    assert ran == [
        "operations.stage_token local\n",
        "operations.stack output\n",
        "operations.operate sessions\n",
        "operations.operate end\n",
        "operations.speaker local\n",
    ]
    assert all("STAGE=local" in command for command in commands)


def test_the_emulator_keeps_a_port() -> None:
    with aws.ministack() as free:
        port = int(free.rpartition(":")[2])
    with aws.ministack(port=port) as kept:
        assert kept == free
        with pytest.raises(EmbeddedAwsError, match=f"port {port}"), aws.ministack(port=port):
            pytest.fail("two emulators have one port")


def test_the_folder_of_a_start_that_was_killed_is_removed_by_the_next(
    monkeypatch: pytest.MonkeyPatch, folder: Path, taken_port: int
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    left = folder / "emulate-left"
    left.mkdir()
    (left / scratch.LOCK).touch()
    with pytest.raises(EmbeddedAwsError), emulate.emulate(taken_port):
        pytest.fail("two emulators have one port")
    assert list(folder.iterdir()) == []
