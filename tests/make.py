"""Runs make in tests, with a script in place of the environment's Python."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
TIMEOUT_SECONDS = 15


def make(*arguments: str, folder: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Run make in a folder."""
    return subprocess.run(
        ["make", "--silent", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_SECONDS,
    )


def put_python(folder: Path, commands: str) -> list[str]:
    """Write a shell script named python; return the arguments with which make runs it."""
    python = folder / "python"
    python.write_text(f"#!/bin/sh\n{commands}\n")
    python.chmod(0o755)
    return python_in(folder)


def python_in(folder: Path) -> list[str]:
    """Return the arguments with which make runs the Python of a folder, and installs nothing."""
    return ["--old-file", ".venv/.installed", f"BIN={folder}"]


def put_make(folder: Path) -> str:
    """Write a script named make, which uses the Python of these tests and installs nothing.

    Returns:
        The value of PATH with which processes find the script.
    """
    make = folder / "make"
    options = " ".join(python_in(Path(sys.executable).parent))
    make.write_text(f'#!/bin/sh\nexec {shutil.which("make")} {options} "$@"\n')
    make.chmod(0o755)
    return f"{folder}:{os.environ['PATH']}"
