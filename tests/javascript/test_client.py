"""The tests of the JavaScript client, alone and against the local server."""

import os
import re
import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path
from shutil import which

import pytest

from tests.make import ROOT
from tests.stories.target import HIGH_LIMITS, local_server
from tests.terraform.requirements import lacks

PACKAGE = ROOT / "clients" / "javascript"
RUN_SECONDS = 300

Run = Callable[..., None]


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


@pytest.fixture
def run_script() -> Run:
    """Return a function that runs the tests of a script of the package."""
    npm = which("npm")
    if npm is None or not (PACKAGE / "node_modules").exists():
        lacks("npm or the packages that .ci/browser installs")
    return partial(run_tests, npm, "run", folder=PACKAGE, seconds=RUN_SECONDS)


@pytest.mark.timeout(RUN_SECONDS)
def test_the_client_passes_its_own_tests(run_script: Run) -> None:
    run_script("test")


@pytest.mark.timeout(RUN_SECONDS)
def test_the_client_passes_its_tests_against_the_local_server(run_script: Run) -> None:
    with local_server(**HIGH_LIMITS) as target:
        token = target.tokens()["AccessToken"]
        run_script("test:service", SERVICE_URL=target.url, SERVICE_TOKEN=token)
