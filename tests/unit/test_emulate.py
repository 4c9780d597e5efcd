"""The start of `make emulate`, up to a ready emulator."""

import shlex
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from local_gateway import aws, scratch
from local_gateway.aws import EmbeddedAwsError
from operations import emulate, running_emulation
from tests.make import make, put_python


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(running_emulation, "FILE", tmp_path / "emulate.json")
    return tmp_path


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.mark.parametrize("port", ["70000", "-1", "http"])
def test_an_invalid_port_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], port: str
) -> None:
    monkeypatch.setattr(sys, "argv", ["emulate", f"--port={port}"])
    with pytest.raises(SystemExit):
        emulate.main()
    assert f"must be a number from 0 to 65535, not '{port}'" in capsys.readouterr().err


def test_a_port_in_use_is_an_error_and_leaves_no_files(
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


def test_the_suggested_commands_run_against_the_emulator(tmp_path: Path) -> None:
    python = put_python(tmp_path, 'echo "$2 $3"')
    commands = [line.strip() for line in emulate.READY.splitlines() if line.startswith("  make ")]
    arguments = [shlex.split(command, comments=True)[1:] for command in commands]
    ran = [make(*python, *given).stdout for given in arguments]
    assert ran == [
        "operations.stage_token local\n",
        "operations.stack output\n",
        "operations.operate sessions\n",
        "operations.operate end\n",
        "operations.speaker local\n",
    ]
    assert all("STAGE=local" in command for command in commands)


def test_the_emulator_listens_on_the_given_port() -> None:
    with aws.ministack() as free:
        port = int(free.rpartition(":")[2])
    with aws.ministack(port=port) as kept:
        assert kept == free
        with pytest.raises(EmbeddedAwsError, match=f"port {port}"), aws.ministack(port=port):
            pytest.fail("two emulators have one port")


def test_a_start_removes_the_folder_of_a_killed_emulation(
    monkeypatch: pytest.MonkeyPatch, folder: Path, taken_port: int
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    left = folder / "emulate-12345678"  # mkdtemp adds 8 characters.
    left.mkdir()
    (left / scratch.LOCK).touch()
    with pytest.raises(EmbeddedAwsError), emulate.emulate(taken_port):
        pytest.fail("two emulators have one port")
    assert list(folder.iterdir()) == []
