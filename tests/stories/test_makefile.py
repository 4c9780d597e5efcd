"""The values of make's variables: passed on unchanged, or refused with one sentence."""

import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from chalicelib.setting_names import check_names
from tests.make import ROOT, make, put_python, python_in

PLAIN = ("PORT", "STAGE", "SESSION", "OPTIONS", "CONFIRM", "NAME", "TESTS")
INTERPRETED = list("'\"`\\;&|<>()*?$#\n")
VERBS = [
    "local",
    "token",
    "demo",
    "package",
    "plan",
    "apply",
    "deploy",
    "destroy",
    "output",
    "sessions",
    "session-end",
]


Run = Callable[..., tuple[int, str, list[str]]]
"""Runs make; returns its exit code, its stderr, and the arguments that Python gets."""


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Run make with a `python` that only writes down its arguments."""
    written = tmp_path / "arguments"
    python = put_python(tmp_path, f"printf '%s\\n' \"$@\" >> {written}")

    def run_make(*arguments: str) -> tuple[int, str, list[str]]:
        done = make(*python, *arguments)
        passed = written.read_text().splitlines() if written.exists() else []
        return done.returncode, done.stderr, passed

    return run_make


@pytest.mark.parametrize(
    "username",
    ["o'brien@example.com", 'a"b`c\\d;e&f|g<h>i(j)k*l?m#n o@example.com', "'; exit 1; '"],
)
@pytest.mark.parametrize("stage", [[], ["STAGE=local"]])
def test_a_username_reaches_the_command_unchanged(
    run: Run, username: str, stage: list[str]
) -> None:
    code, said, arguments = run("token", f"USERNAME={username}", *stage)
    assert (code, said) == (0, "")
    assert arguments[-2:] == ["--username", username]


@pytest.mark.parametrize("username", ["a$(shell touch evil)", "a$b", "a\nb"])
def test_a_username_that_make_would_interpret_is_refused(run: Run, username: str) -> None:
    code, said, arguments = run("token", f"USERNAME={username}")
    assert (code, arguments) == (2, [])
    assert "USERNAME can't contain" in said
    assert not (ROOT / "evil").exists()


def test_an_email_address_that_make_would_interpret_is_refused(run: Run) -> None:
    code, said, arguments = run("speaker", "STAGE=dev", "EMAIL=a$(shell touch evil)")
    assert (code, arguments) == (2, [])
    assert "EMAIL can't contain $" in said
    assert not (ROOT / "evil").exists()


@pytest.mark.parametrize("name", PLAIN)
@pytest.mark.parametrize("character", INTERPRETED)
def test_a_value_that_the_shell_would_interpret_is_refused(
    run: Run, name: str, character: str
) -> None:
    code, said, arguments = run("help", f"{name}=a{character}b")
    assert (code, arguments) == (2, [])
    assert f"{name} can't contain {'a line break' if character == chr(10) else character}" in said


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_refuses_values_for_the_shell(run: Run, verb: str) -> None:
    code, said, arguments = run(verb, "STAGE=x'; touch evil; '")
    assert (code, arguments) == (2, [])
    assert "STAGE can't contain '" in said
    assert not (ROOT / "evil").exists()


@pytest.mark.parametrize(
    ("verb", "given", "example"),
    [
        ("session-end", [], "SESSION=golden-eagle-427"),
        ("session-end", ["STAGE=dev"], "SESSION=golden-eagle-427"),
        ("session-end", ["SESSION=golden-eagle-427", "STAGE="], "STAGE=dev"),
        ("sessions", ["STAGE="], "STAGE=dev"),
        ("token", ["USERNAME="], "USERNAME=speaker@example.com"),
        ("token", ["STAGE="], "STAGE=dev"),
        ("speaker", ["STAGE=dev"], "EMAIL=speaker@example.com"),
        ("speaker", ["EMAIL=speaker@example.com"], "STAGE=dev"),
        ("package", ["STAGE="], "STAGE=dev"),
        ("plan", [], "STAGE=dev"),
        ("plan", ["STAGE="], "STAGE=dev"),
        ("apply", [], "STAGE=dev"),
        ("deploy", [], "STAGE=dev"),
        ("destroy", [], "STAGE=dev"),
        ("output", [], "STAGE=dev"),
    ],
)
def test_a_missing_value_is_an_error_with_an_example(
    run: Run, verb: str, given: list[str], example: str
) -> None:
    code, said, arguments = run(verb, *given)
    assert (code, arguments) == (2, [])
    assert f"{example.partition('=')[0]} is missing; add it: {example}." in said


def test_ordinary_values_are_accepted(run: Run) -> None:
    values = ["STAGE=dev", "PORT=8001", "OPTIONS=--json --fault a=0.5", "CONFIRM=golden-eagle-427"]
    code, said, arguments = run("session-end", "SESSION=golden-eagle-427", *values)
    assert (code, said) == (0, "")
    assert arguments[2:4] == ["end", "golden-eagle-427"]


def test_the_named_tests_are_run(run: Run) -> None:
    code, said, arguments = run("test", "TESTS=tests/unit tests/races")
    assert (code, said) == (0, "")
    assert arguments[:2] == ["-m", "pytest"]
    assert arguments[-2:] == ["tests/unit", "tests/races"]


def test_all_tests_are_run_if_none_are_named(run: Run) -> None:
    assert run("test")[2][-3:] == ["tests", "local-gateway/tests", "clients/python/tests"]


@pytest.mark.parametrize(
    ("verb", "given", "said"),
    [
        ("demo", "OPTIONS=--unknown", "unrecognized arguments: --unknown"),
        ("local", "OPTIONS=--unknown", "unrecognized arguments: --unknown"),
        ("sessions", "OPTIONS=--unknown", "unrecognized arguments: --unknown"),
        ("sessions", "PORT=70000", "argument --port: must be a number from 0 to 65535"),
        ("session-end", "SESSION=--unknown", "the following arguments are required: session"),
        ("token", "PORT=http", "argument --port: must be a number from 0 to 65535"),
        ("token", "STAGE=dev", "argument stage: invalid choice: 'dev'"),
        ("emulate", "PORT=70000", "argument --port: must be a number from 0 to 65535"),
        ("package", "STAGE=--unknown", "the following arguments are required: stage"),
        ("speaker", "STAGE=--unknown EMAIL=a@example.com", "the following arguments are required"),
        ("plan", "STAGE=--unknown", "the following arguments are required: stage"),
    ],
)
def test_a_bad_argument_is_one_line_that_names_the_verb(verb: str, given: str, said: str) -> None:
    done = make(*python_in(Path(sys.executable).parent), verb, *given.split())
    assert done.returncode == 2
    line, end = done.stderr.splitlines()
    assert line.startswith(f"make {verb}: {said}")
    assert end.startswith("make: ***")


def test_the_environment_variable_name_is_not_used_as_an_output(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NAME", "my-desktop")
    assert run("output", "STAGE=dev")[2][-1] == "dev"


def test_an_exported_variable_is_not_treated_as_a_misspelled_setting() -> None:
    exported = re.findall(
        r"(?:\bexport|^RUN =) (\w+)", (ROOT / "Makefile").read_text(), re.MULTILINE
    )
    assert {"CALLED_AS", "EMAIL_OF_SPEAKER"} <= set(exported)
    check_names(dict.fromkeys(exported, "a value"))


def test_clean_removes_the_packages_of_the_browser_tests() -> None:
    done = make("--dry-run", "clean")
    assert done.returncode == 0
    assert "tests/browser/node_modules" in done.stdout.split()
