"""The tests of the JavaScript client, alone and against the local server."""

import os
import re
import subprocess
from collections.abc import Callable
from shutil import which

import pytest

from tests.make import ROOT
from tests.stories.target import HIGH_LIMITS, local_server
from tests.terraform.requirements import lacks

PACKAGE = ROOT / "clients" / "javascript"
RUN_SECONDS = 300

Run = Callable[..., str]


@pytest.fixture
def run_script() -> Run:
    """Return a function that runs a script of the package, and returns what it printed."""
    npm = which("npm")
    if npm is None or not (PACKAGE / "node_modules").exists():
        lacks("npm or the packages that .ci/browser installs")

    def run(script: str, **environment: str) -> str:
        done = subprocess.run(
            [npm, "run", script],
            cwd=PACKAGE,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            timeout=RUN_SECONDS,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run


def assert_all_passed(report: str) -> None:
    """Check that tests ran, and that none was skipped. Source: the format TAP of node:test."""
    counts = {name: int(count) for name, count in re.findall(r"^# (\w+) (\d+)$", report, re.M)}
    assert counts["tests"] == counts["pass"] > 0


@pytest.mark.timeout(RUN_SECONDS)
def test_the_client_passes_its_own_tests(run_script: Run) -> None:
    assert_all_passed(run_script("test"))


@pytest.mark.timeout(RUN_SECONDS)
def test_the_client_passes_its_tests_against_the_local_server(run_script: Run) -> None:
    with local_server(**HIGH_LIMITS) as target:
        token = target.tokens()["AccessToken"]
        assert_all_passed(run_script("test:service", SERVICE_URL=target.url, SERVICE_TOKEN=token))
