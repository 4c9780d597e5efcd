"""Temporary folders of processes that exit or are killed."""

import os
import subprocess
import sys
import time
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


@pytest.mark.parametrize("left", [[], [".lock.new"], ["state"]])
def test_an_old_folder_without_a_lock_is_removed(parent: Path, left: list[str]) -> None:
    path = parent / "held-abcd_123"
    path.mkdir(0o700)
    for name in left:
        (path / name).touch()
    old = time.time() - scratch.LOCK_SECONDS - 1
    os.utime(path, (old, old))
    with scratch.folder("held-"):
        assert not path.exists()


def test_a_new_folder_without_a_lock_stays(parent: Path) -> None:
    path = parent / "held-abcd_123"
    path.mkdir(0o700)
    with scratch.folder("held-"):
        assert path.exists()


@pytest.mark.parametrize(("name", "mode"), [("held-elsewhere", 0o700), ("held-abcd_123", 0o755)])
def test_an_old_folder_of_another_program_stays(parent: Path, name: str, mode: int) -> None:
    path = parent / name
    path.mkdir(mode)
    os.utime(path, (0, 0))
    with scratch.folder("held-"):
        assert path.exists()


@pytest.mark.parametrize("kind", ["a link", "a file"])
def test_links_and_files_stay(parent: Path, kind: str) -> None:
    path, elsewhere = parent / "held-elsewhere", parent / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / scratch.LOCK).touch()
    if kind == "a link":
        path.symlink_to(elsewhere)
    else:
        path.touch()
    with scratch.folder("held-"):
        pass
    assert path.exists()
    assert (elsewhere / scratch.LOCK).exists()
