"""Runs the checks against a target."""

import os
from collections.abc import Callable, Generator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from conformance.facts import Fact, load_facts
from conformance.results import Results, Row
from conformance.targets.base import Deployment, Target, TargetError
from conformance.variant import shorten

OPTIONS = (
    "-q",
    "--no-header",
    "--tb=no",
    "-rN",
    "-p",
    "no:cacheprovider",
    "-c",
    os.devnull,
    "--disable-plugin-autoload",
    "--confcutdir",
    str(Path(__file__).parent),
)
"""pytest's options. Other projects' settings and plugins must not change a result."""

DEPLOYMENT = pytest.StashKey[Deployment]()
"""The key of the deployment in pytest's configuration."""

OBSERVED = pytest.StashKey[str]()
"""The key of a check's observation in its pytest item."""

Observe = Callable[[str], str]
"""Records what the target does, and returns the text."""


def run(target: Target) -> Results:
    """Serve the probe on a target, and run all checks.

    Raises:
        TargetError: The target can't be started, or pytest can't run the checks.
        KeyboardInterrupt: The run was interrupted.
    """
    # Before the run, because the files can change during it.
    versions = {it.number: it.version for it in load_facts()}
    with target.deployed() as deployment:
        recorder = Recorder(deployment)
        code = pytest.main([*OPTIONS, "--pyargs", "conformance.checks"], plugins=[recorder])
    if code == pytest.ExitCode.INTERRUPTED:
        raise KeyboardInterrupt
    if code not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
        raise TargetError(f"pytest can't run the checks: exit code {code}")
    date = datetime.now(UTC).date().isoformat()
    missing = Row("differs", "the check did not run")
    rows = {
        number: replace(recorder.rows.get(number, missing), check=version)
        for number, version in versions.items()
    }
    return Results(target.name, deployment.version, date, rows)


class Recorder:
    """A pytest plugin that collects the checks' results."""

    def __init__(self, deployment: Deployment) -> None:
        self.rows: dict[str, Row] = {}
        self._deployment = deployment

    def pytest_configure(self, config: pytest.Config) -> None:
        """Give the checks' fixtures the deployment."""
        config.stash[DEPLOYMENT] = self._deployment

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Run the checks of the slow message last."""
        items.sort(key=lambda item: "slow" in _parameters(item))

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Add the check's row."""
        report = yield
        fact: Fact = item.function.fact  # type: ignore[attr-defined]
        if report.skipped:
            assert isinstance(report.longrepr, tuple)
            self.rows[fact.number] = Row("not tested", report.longrepr[2].removeprefix("Skipped: "))
        elif report.failed and call.excinfo is not None:
            self.rows[fact.number] = Row("differs", self._describe(item, call.excinfo.value))
        elif report.when == "call":
            self.rows[fact.number] = Row(
                "passes", item.stash[OBSERVED], setting=self._setting(item)
            )
        return report

    def _setting(self, item: pytest.Item) -> str:
        """Return the setting of the check's variant; empty if it needs none."""
        settings = self._deployment.settings
        return next((settings[name] for name in _parameters(item) if name in settings), "")

    def _describe(self, item: pytest.Item, error: BaseException) -> str:
        """Return what the check observed; the error if it stopped for another reason."""
        observed = item.stash.get(OBSERVED, None)
        if observed is not None and isinstance(error, AssertionError):
            return observed
        return shorten(f"the check stops: {type(error).__name__}: {error}")


def _parameters(item: pytest.Item) -> tuple[str, ...]:
    """Return the names of the fixtures that a check asks for itself."""
    code: Any = item.function.__code__  # type: ignore[attr-defined]
    return tuple(code.co_varnames[: code.co_argcount])
