"""The tests of the JavaScript client."""

import os
import re
import subprocess
from pathlib import Path
from shutil import which

import pytest

from tests.make import ROOT
from tests.terraform.requirements import lacks

PACKAGE = ROOT / "clients" / "javascript"
RUN_SECONDS = 300


def run_tests(*command: str | Path, folder: Path, seconds: float, **environment: str) -> None:
    """Run tests with node:test, and check that tests ran, and that all passed, none skipped.

    The counts are in the format TAP.
    """
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    report = re.findall(r"^# (\w+) (\d+)$", done.stdout, re.M)
    counts = {name: int(count) for name, count in report}
    assert counts["tests"] == counts["pass"] > 0


@pytest.mark.timeout(RUN_SECONDS)
def test_the_client_passes_its_tests() -> None:
    npm = which("npm")
    if npm is None or not (PACKAGE / "node_modules").exists():
        lacks("npm or the packages that .ci/browser installs")
    run_tests(npm, "test", folder=PACKAGE, seconds=RUN_SECONDS)
