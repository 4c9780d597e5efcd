"""The virtual environments of the Makefile. Shell scripts replace Python."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.make import ROOT, make, put_python

PYTHON = f"""#!/bin/sh
case "$1 $2" in
"-m venv") rm -rf "$4" && mkdir -p "$4/bin" && cp "$0" "$4/bin/python" ;;
"-m pip") shift 2 && echo "$@" >> pip ;;
*) exec {sys.executable} -c "import sys; sys.version_info = (VERSION, 0); $2" ;;
esac
"""
"""A script that copies itself into an environment, saves pip's arguments, and has a VERSION."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copy(ROOT / "Makefile", tmp_path)
    (tmp_path / "requirements-dev.txt").touch()
    for package in ("local-gateway", "clients/python"):
        (tmp_path / package).mkdir(parents=True)
        (tmp_path / package / "pyproject.toml").touch()
    for minor in (10, 11, 12, 13, 14):
        python = tmp_path / f"python3.{minor}"
        python.write_text(PYTHON.replace("VERSION", f"3, {minor}"))
        python.chmod(0o755)
    return tmp_path


def install(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return make(*arguments, "install", folder=folder)


def is_made_by(folder: Path, version: str) -> bool:
    made = folder / ".venv" / "bin" / "python"
    return made.exists() and made.read_bytes() == (folder / f"python{version}").read_bytes()


@pytest.mark.parametrize("version", ["3.10", "3.14"])
def test_an_unsupported_python_is_refused_and_leaves_the_environment(
    folder: Path, version: str
) -> None:
    assert install(folder, "PYTHON=./python3.11").returncode == 0
    refused = install(folder, f"PYTHON=./python{version}")
    assert refused.returncode != 0
    assert f"./python{version} is {version}; use one of them" in refused.stderr
    assert is_made_by(folder, "3.11")


@pytest.mark.parametrize("version", ["3.11", "3.12", "3.13"])
def test_every_file_from_an_index_needs_its_hash(folder: Path, version: str) -> None:
    assert install(folder, f"PYTHON=./python{version}").returncode == 0
    assert is_made_by(folder, version)
    from_index, from_folders = (folder / "pip").read_text().splitlines()
    assert from_index.endswith("--require-hashes --requirement requirements-dev.txt")
    assert from_folders.endswith(
        "--no-build-isolation --editable local-gateway --editable clients/python"
    )
    assert "--no-index --no-deps" in from_folders


def test_a_python_of_another_version_recreates_the_environment(folder: Path) -> None:
    install(folder, "PYTHON=./python3.11")
    assert install(folder, "PYTHON=./python3.12").returncode == 0
    assert is_made_by(folder, "3.12")


@pytest.mark.parametrize("arguments", [["PYTHON=./python3.12"], []], ids=["the same", "none named"])
def test_a_python_of_the_same_version_keeps_the_environment(
    folder: Path, arguments: list[str]
) -> None:
    install(folder, "PYTHON=./python3.12")
    (folder / "pip").unlink()
    assert install(folder, *arguments).returncode == 0
    assert not (folder / "pip").exists()


@pytest.mark.parametrize("name", [".venv", ".venv-scan", ".venv-docs"])
def test_git_ignores_an_environment_that_is_a_link(tmp_path: Path, name: str) -> None:
    shutil.copy(ROOT / ".gitignore", tmp_path)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / name).symlink_to(tmp_path / "elsewhere")
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    listed = subprocess.run(
        ["git", "ls-files", "--others", "--exclude-standard"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert listed.stdout == ".gitignore\n"


LOCAL = """
case "$2" in
operations.developer_credentials) test "$AWS_PROFILE" = me && echo '["id", "its secret"]' ;;
*) echo "$INTERPRETER_CREDENTIALS|$AWS_PROFILE|$AWS_ACCESS_KEY_ID"; printf '%s\n' "$@" ;;
esac
"""
"""A Python that finds credentials in one profile, and prints what the local server gets."""


def serve(
    monkeypatch: pytest.MonkeyPatch, folder: Path, interpreter: str, profile: str
) -> subprocess.CompletedProcess[str]:
    monkeypatch.setenv("INTERPRETER", interpreter)
    monkeypatch.setenv("AWS_PROFILE", profile)
    return make("local", *put_python(folder, LOCAL), folder=ROOT)


def test_an_unknown_interpreter_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    refused = serve(monkeypatch, tmp_path, "google", "me")
    assert refused.returncode != 0
    assert "INTERPRETER can only be aws" in refused.stderr
    assert refused.stdout == ""


def test_the_local_server_does_not_start_without_the_credentials_for_aws(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    refused = serve(monkeypatch, tmp_path, "aws", "another")
    assert refused.returncode != 0
    assert refused.stdout == ""


def test_the_local_server_says_that_nothing_is_translated_and_has_no_credentials(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    served = serve(monkeypatch, tmp_path, "", "me").stdout.splitlines()
    assert served[0] == "||none"
    note = served[served.index("--note") + 1]
    assert note.startswith("nothing is translated: captions are marked with their language")


@pytest.mark.parametrize("interpreter", ["", "aws"])
def test_the_local_server_does_not_promise_speech_that_is_off(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, interpreter: str
) -> None:
    monkeypatch.setenv("SPEECH", "off")
    served = serve(monkeypatch, tmp_path, interpreter, "me").stdout.splitlines()
    assert "translate" in (note := served[served.index("--note") + 1])
    assert "spe" not in note
    assert "spoken" not in note


def test_the_local_server_says_that_a_pipeline_of_your_own_gets_the_captions(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PIPELINE_FUNCTION", "another")
    served = serve(monkeypatch, tmp_path, "", "me").stdout.splitlines()
    assert served[served.index("--note") + 1].startswith("your PIPELINE_FUNCTION gets the captions")


def test_only_the_stand_ins_variable_has_the_credentials_for_aws(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    served = serve(monkeypatch, tmp_path, "aws", "me").stdout.splitlines()
    assert served[0] == '["id", "its secret"]||none'
    note = served[served.index("--note") + 1]
    assert note.endswith("with your credentials and at your cost")
    assert not [argument for argument in served[1:] if "secret" in argument]
