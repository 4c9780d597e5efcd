"""Temporary folders of processes that exit or are killed."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from local_gateway import scratch

HOLDER = """
from local_gateway import scratch
with scratch.folder("held-") as path:
    (path / "file").touch()
    print(path, flush=True)
    input()
"""


@pytest.fixture(autouse=True)
def parent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    return tmp_path


@pytest.fixture
def holder() -> Iterator["subprocess.Popen[str]"]:
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield process
        process.kill()


def test_the_next_process_removes_the_folder_of_a_killed_one(
    holder: "subprocess.Popen[str]", parent: Path
) -> None:
    left = Path(holder.stdout.readline().strip())
    holder.kill()
    holder.wait()
    assert (left / "file").exists()
    with scratch.folder("held-") as path:
        assert list(parent.iterdir()) == [path]
    assert list(parent.iterdir()) == []


def test_a_folder_of_a_running_process_stays(holder: "subprocess.Popen[str]") -> None:
    held = Path(holder.stdout.readline().strip())
    with scratch.folder("held-"):
        assert (held / "file").exists()


@pytest.mark.parametrize("kind", ["a folder without a lock", "a link", "a file"])
def test_other_files_and_folders_stay(parent: Path, kind: str) -> None:
    path, elsewhere = parent / "held-elsewhere", parent / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / scratch.LOCK).touch()
    if kind == "a link":
        path.symlink_to(elsewhere)
    elif kind == "a file":
        path.touch()
    else:
        path.mkdir()
    with scratch.folder("held-"):
        pass
    assert path.exists()
    assert (elsewhere / scratch.LOCK).exists()
