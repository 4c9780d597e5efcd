"""The wheel and the source distribution, as a stranger gets them."""

import re
import subprocess
import sys
import tarfile
import tomllib
from collections.abc import Mapping
from email.parser import Parser
from pathlib import Path
from zipfile import ZipFile

import pytest

import local_gateway
from gateway_support.serving import serving, write_project

ROOT = Path(__file__).parents[1]
SOURCES = ROOT / "local_gateway"

ADDED_TO_SDIST = ("bench", "conformance", "docs", "examples", "tests")

OTHER_PROJECTS = re.compile(
    r"session.?id|broadcast.?session|speaker|caption|multilingual|golden.?eagle|heartbeat"
    r"|\b(create|join|leave|pause|end).?session|\bmake [a-z-]+ [A-Z]+="
    r"|target.?language(?!code)"  # Amazon Translate has the parameter TargetLanguageCode.
    r"|\blisteners\b"  # A listener, in the singular, is also a socket that listens.
    r"|chalicelib[./](?!(lazy|new|part|rooms|voices|words)\b)\w"  # Those of the examples and tests.
    r"|\boperations\.|sweep|(?<!conformance/)terraform/|/home/|/root/|/work/",
    re.IGNORECASE,
)
"""Words of the application that this package comes from, and of machines."""

ECHO = """
from chalice import Chalice
app = Chalice("echo")
app.experimental_feature_flags.update(["WEBSOCKETS"])


@app.on_ws_message()
def message(event):
    return {"body": event.body}
"""
ECHO_CONFIG = '{"app_name": "echo", "websocket_api": {"route_responses": ["$default"]}}'


def run(*command: str) -> None:
    finished = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=90)
    assert finished.returncode == 0, finished.stdout + finished.stderr


def pip(*arguments: str) -> None:
    run(sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", *arguments)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    offline = ("--no-index", "--no-deps", "--no-build-isolation")
    pip("wheel", *offline, "--wheel-dir", str(folder), str(ROOT))
    [path] = folder.iterdir()
    return path


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sdist")
    build = f"from flit_core.buildapi import build_sdist; build_sdist({str(folder)!r})"
    run(sys.executable, "-c", build)
    [path] = folder.iterdir()
    return path


def read_wheel(path: Path) -> dict[str, str]:
    with ZipFile(path) as archive:
        return {name: archive.read(name).decode() for name in archive.namelist()}


def read_sdist(path: Path) -> dict[str, str]:
    """Return the texts by name, without the folder that contains all files."""
    texts = {}
    with tarfile.open(path) as archive:
        for member in archive.getmembers():
            file = archive.extractfile(member)
            assert file is not None, member.name
            texts[member.name.partition("/")[2]] = file.read().decode()
    return texts


def files_in(folder: str) -> set[str]:
    """Return the files of a folder, without caches and packages of npm."""
    paths = [path for path in (ROOT / folder).rglob("*") if path.is_file()]
    names = {path.relative_to(ROOT).as_posix() for path in paths}
    return {name for name in names if "/__pycache__/" not in name and "/node_modules/" not in name}


def package_files() -> set[str]:
    paths = [*SOURCES.rglob("*.py"), SOURCES / "py.typed"]
    return {path.relative_to(ROOT).as_posix() for path in paths}


def find_words(texts: Mapping[str, str]) -> list[str]:
    lines = [(name, line) for name, text in texts.items() for line in (name, *text.splitlines())]
    return [f"{name}: {line.strip()}" for name, line in lines if OTHER_PROJECTS.search(line)]


def test_the_scan_finds_words_of_the_application() -> None:
    found = find_words({"app.py": "a = 1\nsession_id = 'x'\n", "operations.py": "# chalicelib/"})
    assert found == ["app.py: session_id = 'x'", "operations.py: operations.py"]


def test_the_wheel_contains_the_modules_and_the_license(wheel: Path) -> None:
    assert wheel.name.startswith("chalice_local_gateway-")
    texts = read_wheel(wheel)
    [info] = {name.partition("/")[0] for name in texts} - {"local_gateway"}
    assert {name for name in texts if not name.startswith(info)} == package_files()
    assert texts[f"{info}/licenses/LICENSE"] == (ROOT / "LICENSE").read_text()
    assert "chalice-local-gateway=local_gateway.__main__:command" in texts[
        f"{info}/entry_points.txt"
    ].replace(" ", "")


def test_the_metadata_of_the_wheel_has_the_readme(wheel: Path) -> None:
    [text] = [text for name, text in read_wheel(wheel).items() if name.endswith("/METADATA")]
    metadata = Parser().parsestr(text)
    assert metadata["Name"] == "chalice-local-gateway"
    assert metadata["Version"] == local_gateway.__version__
    assert metadata["License-Expression"] == "Apache-2.0"
    assert metadata["Provides-Extra"] == "aws"
    assert "Typing :: Typed" in metadata.get_all("Classifier")
    assert metadata.get_payload().strip() == (ROOT / "README.md").read_text().strip()


def test_the_classifiers_list_the_versions_of_python() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    oldest, above = map(int, re.findall(r"3\.(\d+)", project["requires-python"]))
    python = "Programming Language :: Python :: 3."
    listed = [it for it in project["classifiers"] if it.startswith(python)]
    assert listed == [f"{python}{minor}" for minor in range(oldest, above)]


def test_the_sdist_also_contains_the_docs_the_tests_and_the_conformance_suite(sdist: Path) -> None:
    others = {"CHANGELOG.md", "LICENSE", "README.md", "pyproject.toml", "PKG-INFO"}
    added = set().union(*map(files_in, ADDED_TO_SDIST))
    assert {name.partition("/")[0] for name in added} == set(ADDED_TO_SDIST)
    assert read_sdist(sdist).keys() == package_files() | others | added


def test_the_wheel_and_the_sdist_name_no_other_project(wheel: Path, sdist: Path) -> None:
    assert find_words(read_wheel(wheel)) == []
    texts = read_sdist(sdist)
    del texts["tests/test_package.py"]  # It has the words that it looks for.
    assert find_words(texts) == []


def test_the_changelog_describes_the_version() -> None:
    headings = re.findall(r"^## (.*)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert headings[0] == "[Unreleased]"
    assert re.fullmatch(rf"\[{local_gateway.__version__}\] - \d{{4}}-\d{{2}}-\d{{2}}", headings[1])


def test_the_command_of_the_wheel_serves_a_project(wheel: Path, tmp_path: Path) -> None:
    installed = tmp_path / "installed"
    pip("install", "--no-index", "--no-deps", "--target", str(installed), str(wheel))
    (tmp_path / "project").mkdir()
    project = write_project(tmp_path / "project", ECHO, ECHO_CONFIG)
    command = (str(installed / "bin" / "chalice-local-gateway"),)
    with (
        serving(project, command=command, PYTHONPATH=str(installed)) as server,
        server.connect() as client,
    ):
        client.send("hello")
        assert client.recv() == "hello"
