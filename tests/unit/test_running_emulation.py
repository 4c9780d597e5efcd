"""How the verbs for STAGE=local find a running emulation, and know a dead one."""

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


def test_none_is_found_where_none_runs() -> None:
    with pytest.raises(EmulationError, match="no emulation is running; start one: make emulate"):
        running_emulation.find()


def test_one_that_was_killed_is_not_found(file: Path) -> None:
    with running_emulation.claim() as claimed:
        running_emulation.announce(claimed, RUNNING)
        left_behind = file.read_text()
    file.write_text(left_behind)
    with pytest.raises(EmulationError, match="no emulation is running"):
        running_emulation.find()
    with running_emulation.claim(), pytest.raises(EmulationError, match="still starting"):
        running_emulation.find()


def test_a_second_one_in_the_folder_is_refused() -> None:
    with running_emulation.claim() as claimed:
        running_emulation.announce(claimed, RUNNING)
        with pytest.raises(EmulationError, match="already running"), running_emulation.claim():
            pytest.fail("it is claimed twice")
        assert running_emulation.find() == RUNNING


def test_its_file_goes_with_it(file: Path) -> None:
    with running_emulation.claim():
        assert file.exists()
    assert not file.exists()


@pytest.mark.parametrize("named", ["", HERE, "http://127.0.0.1:1"])
def test_another_emulator_that_the_environment_names_goes_first(
    monkeypatch: pytest.MonkeyPatch, named: str
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", named)
    with running_emulation.claim() as claimed:
        running_emulation.announce(claimed, RUNNING)
        found = running_emulation.find_unless_another_is_named()
    assert found == (None if named == "http://127.0.0.1:1" else RUNNING)


def test_another_emulator_needs_none_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    assert running_emulation.find_unless_another_is_named() is None
