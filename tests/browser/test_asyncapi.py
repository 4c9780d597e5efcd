"""docs/asyncapi.yaml in AsyncAPI's parser, and in the viewer of the docs."""

import json
import re
import subprocess
from pathlib import Path
from shutil import which
from typing import Any, Final

import pytest

from chalicelib.commands import ACTIONS
from operations.asyncapi import viewer
from operations.asyncapi.viewer import ROOT
from tests.browser.conftest import Browse
from tests.terraform.requirements import lacks

TOOLS: Final = ROOT / "operations" / "asyncapi"
PARSE_SECONDS: Final = 60

WARNING: Final = 1
"""The severities are 0, an error; 1, a warning; 2, information; 3, a hint. Source: Spectral."""


@pytest.fixture(scope="module")
def node() -> str:
    found = which("node")
    if found is None or not (TOOLS / "node_modules").exists():
        lacks("Node.js or AsyncAPI's parser; .ci/browser installs them")
    return found


def parse(node: str, file: Path) -> list[dict[str, Any]]:
    """Return the errors and warnings of the parser."""
    done = subprocess.run(
        [node, TOOLS / "parse.mjs", file],
        capture_output=True,
        text=True,
        timeout=PARSE_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [it for it in json.loads(done.stdout) if it["severity"] <= WARNING]


def test_the_parser_has_neither_errors_nor_warnings(node: str) -> None:
    assert parse(node, ROOT / "docs" / "asyncapi.yaml") == []


def test_the_parser_reports_a_message_that_does_not_exist(node: str, tmp_path: Path) -> None:
    description = (ROOT / "docs" / "asyncapi.yaml").read_text(encoding="utf-8")
    changed = tmp_path / "asyncapi.yaml"
    changed.write_text(description.replace("messages/heartbeatAck", "messages/ack"), "utf-8")
    assert {it["code"] for it in parse(node, changed)} == {"invalid-ref"}


def test_the_page_in_the_docs_shows_every_command(
    node: str, browse: Browse, tmp_path: Path
) -> None:
    page = (ROOT / "docs" / "reference" / "asyncapi.md").read_text(encoding="utf-8")
    html = '<!doctype html><meta charset="utf-8">' + page[page.index("<link") :]
    files = {"reference/asyncapi.html": html, **viewer.read_files()}
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    url = (tmp_path / "reference" / "asyncapi.html").as_uri()
    _, _, shown = browse({"open": url}, {"text": "#operation-send-notify"}, {"text": "#asyncapi"})
    assert set(re.findall(r"Operation ID\s*(\w+)", shown)) == {*ACTIONS, "notify"}
