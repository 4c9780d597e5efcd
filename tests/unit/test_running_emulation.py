"""The file of a running emulation, which commands for STAGE=local read."""

from pathlib import Path

import pytest

from operations import running_emulation
from operations.running_emulation import EmulationError, RunningEmulation

HERE = "http://127.0.0.1:4566"
RUNNING = RunningEmulation({"AWS_ENDPOINT_URL": HERE}, {"url": "ws://here"})


@pytest.fixture(autouse=True)
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    monkeypatch.setattr(running_emulation, "FILE", tmp_path / "build" / "emulate.json")
    return running_emulation.FILE


def test_without_a_file_no_emulation_is_running() -> None:
    with pytest.raises(EmulationError, match="no emulation is running; start one: make emulate"):
        running_emulation.get()


def test_a_killed_emulation_is_not_running(file: Path) -> None:
    with running_emulation.claim() as claimed:
        running_emulation.announce(claimed, RUNNING)
        left_behind = file.read_text()
    file.write_text(left_behind)
    with pytest.raises(EmulationError, match="no emulation is running"):
        running_emulation.get()
    with running_emulation.claim(), pytest.raises(EmulationError, match="still starting"):
        running_emulation.get()


def test_a_second_emulation_in_the_folder_is_refused() -> None:
    with running_emulation.claim() as claimed:
        running_emulation.announce(claimed, RUNNING)
        with pytest.raises(EmulationError, match="already running"), running_emulation.claim():
            pytest.fail("it is claimed twice")
        assert running_emulation.get() == RUNNING


def test_the_file_is_removed_when_the_emulation_ends(file: Path) -> None:
    with running_emulation.claim():
        assert file.exists()
    assert not file.exists()


@pytest.mark.parametrize("named", ["", HERE, "http://127.0.0.1:1"])
def test_an_emulator_in_the_environment_precedes_the_one_in_the_folder(
    monkeypatch: pytest.MonkeyPatch, named: str
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", named)
    with running_emulation.claim() as claimed:
        running_emulation.announce(claimed, RUNNING)
        found = running_emulation.find_unless_another_is_named()
    assert found == (None if named == "http://127.0.0.1:1" else RUNNING)


def test_an_emulator_in_the_environment_needs_none_in_the_folder(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    assert running_emulation.find_unless_another_is_named() is None
