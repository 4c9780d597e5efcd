"""Values of make's variables: each reaches its command as it is, or is refused with a sentence."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from chalicelib.settings import check_names
from tests.devserver.serving import ROOT, SECONDS

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


@pytest.fixture
def python(tmp_path: Path) -> Path:
    """Put a `python` that notes its arguments in the place of the environment's."""
    stand_in = tmp_path / "python"
    stand_in.write_text(f"#!/bin/sh\nprintf '%s\\n' \"$@\" >> {tmp_path}/arguments\n")
    stand_in.chmod(0o755)
    return stand_in


def make(python: Path, *arguments: str) -> tuple[int, str, list[str]]:
    """Run make; return its code, what it says on standard error, and the arguments of commands."""
    unmade = ["--old-file", ".venv/.installed", f"BIN={python.parent}"]
    # These tests may run in `make test`, whose own variables and level are not theirs.
    outer = ("MAKEFLAGS", "MAKELEVEL", "MAKEOVERRIDES", "MFLAGS")
    run = subprocess.run(
        ["make", "--silent", *unmade, *arguments],
        cwd=ROOT,
        env={name: value for name, value in os.environ.items() if name not in outer},
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
    noted = python.parent / "arguments"
    return run.returncode, run.stderr, noted.read_text().splitlines() if noted.exists() else []


@pytest.mark.parametrize(
    "username",
    ["o'brien@example.com", 'a"b`c\\d;e&f|g<h>i(j)k*l?m#n o@example.com', "'; exit 1; '"],
)
@pytest.mark.parametrize("stage", [[], ["STAGE=local"]])
def test_a_username_reaches_the_command_as_it_is(
    python: Path, username: str, stage: list[str]
) -> None:
    code, said, arguments = make(python, "token", f"USERNAME={username}", *stage)
    assert (code, said) == (0, "")
    assert arguments[-2:] == ["--username", username]


@pytest.mark.parametrize("username", ["a$(shell touch evil)", "a$b", "a\nb"])
def test_a_username_that_make_would_interpret_is_refused(python: Path, username: str) -> None:
    code, said, arguments = make(python, "token", f"USERNAME={username}")
    assert (code, arguments) == (2, [])
    assert "USERNAME can't contain" in said
    assert not (ROOT / "evil").exists()


def test_an_email_address_that_make_would_interpret_is_refused(python: Path) -> None:
    code, said, arguments = make(python, "speaker", "STAGE=dev", "EMAIL=a$(shell touch evil)")
    assert (code, arguments) == (2, [])
    assert "EMAIL can't contain $" in said
    assert not (ROOT / "evil").exists()


@pytest.mark.parametrize("name", PLAIN)
@pytest.mark.parametrize("character", INTERPRETED)
def test_a_value_that_the_shell_would_interpret_is_refused(
    python: Path, name: str, character: str
) -> None:
    code, said, arguments = make(python, "help", f"{name}=a{character}b")
    assert (code, arguments) == (2, [])
    assert f"{name} can't contain {'a line break' if character == chr(10) else character}" in said


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_refuses_it(python: Path, verb: str) -> None:
    code, said, arguments = make(python, verb, "STAGE=x'; touch evil; '")
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
def test_a_value_that_a_verb_needs_is_asked_for(
    python: Path, verb: str, given: list[str], example: str
) -> None:
    code, said, arguments = make(python, verb, *given)
    assert (code, arguments) == (2, [])
    assert f"{example.partition('=')[0]} is missing; add it: {example}." in said


def test_ordinary_values_are_taken(python: Path) -> None:
    values = ["STAGE=dev", "PORT=8001", "OPTIONS=--json --fault a=0.5", "CONFIRM=golden-eagle-427"]
    code, said, arguments = make(python, "session-end", "SESSION=golden-eagle-427", *values)
    assert (code, said) == (0, "")
    assert arguments[2:4] == ["end", "golden-eagle-427"]


def test_the_tests_that_are_named_are_run(python: Path) -> None:
    code, said, arguments = make(python, "test", "TESTS=tests/unit tests/races")
    assert (code, said) == (0, "")
    assert arguments[:2] == ["-m", "pytest"]
    assert arguments[-2:] == ["tests/unit", "tests/races"]


def test_all_tests_are_run_if_none_are_named(python: Path) -> None:
    assert make(python, "test")[2][-1] == "tests"


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
    code, error, _ = make(Path(sys.executable), verb, *given.split())
    assert code == 2
    line, end = error.splitlines()
    assert line.startswith(f"make {verb}: {said}")
    assert end.startswith("make: ***")


def test_the_name_of_the_machine_is_not_the_name_of_an_output(
    python: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NAME", "my-desktop")
    assert make(python, "output", "STAGE=dev")[2][-1] == "dev"


def test_no_exported_variable_is_taken_for_a_misspelt_setting() -> None:
    exported = re.findall(
        r"(?:\bexport|^RUN =) (\w+)", (ROOT / "Makefile").read_text(), re.MULTILINE
    )
    assert {"CALLED_AS", "EMAIL_OF_SPEAKER"} <= set(exported)
    check_names(dict.fromkeys(exported, "a value"))


def test_clean_removes_the_packages_of_the_tests_in_a_browser() -> None:
    run = subprocess.run(
        ["make", "--dry-run", "clean"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=True,
    )
    assert "tests/browser/node_modules" in run.stdout.split()
