"""The script that CI runs. Small scripts replace make and the other scripts."""

import shutil
import subprocess
from pathlib import Path

import pytest

RUN = Path(__file__).parents[2] / ".ci" / "run"


@pytest.mark.parametrize(
    ("failing", "code"), [("none", 0), ("check", 2), ("test", 2), ("pythons", 2)]
)
def test_ci_runs_tests_and_checks_and_fails_if_either_fails(
    tmp_path: Path, failing: str, code: int
) -> None:
    folder, programs = tmp_path / "project", tmp_path / "bin"
    (folder / ".ci").mkdir(parents=True)
    programs.mkdir()
    shutil.copy(RUN, folder / ".ci")
    for program, does in (
        (folder / ".ci" / "browser", "true"),
        (folder / ".ci" / "speech", "true"),
        (folder / ".ci" / "pythons", f'echo "ran pythons"; [ pythons != {failing} ] || exit 2'),
        (programs / "make", f'echo "made $*"; [ "$1" != {failing} ] || exit 2'),
    ):
        program.write_text(f"#!/bin/sh\n{does}\n")
        program.chmod(0o755)
    done = subprocess.run(
        [folder / ".ci" / "run"],
        env={"PATH": f"{programs}:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code
    made = ["made install", "made test", "made check docs"]
    assert done.stdout.splitlines() == made + ["ran pythons"] * (failing != "check")
