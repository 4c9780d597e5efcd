"""The README's example, and the options that the README and the docs list."""

import os
import re
import subprocess
import sys
from pathlib import Path

import boto3
import pytest
from websockets.exceptions import InvalidStatus

from gateway_support.serving import SECONDS, serving, write_project
from local_gateway.faults import Faults
from local_gateway.user_token import token as token_of

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
OPTIONS = ROOT / "docs" / "options.md"
EMBEDDED_AWS = ROOT / "docs" / "embedded-aws.md"
FAULTS = ROOT / "docs" / "faults.md"
PAGES = sorted([README, *ROOT.glob("docs/*.md")])


def read_blocks(page: Path, language: str) -> list[str]:
    """Return the page's code blocks in a language."""
    return re.findall(rf"```{language}\n(.*?)```", page.read_text(), re.DOTALL)


def read_first_cells(page: Path, section: str = "") -> str:
    """Return the first cells of all rows of tables, or of those under a heading."""
    text = page.read_text().partition(f"## {section}\n")[2] if section else page.read_text()
    text = text.partition("\n## ")[0] if section else text
    return "\n".join(re.findall(r"^\| (.*?) \|", text, re.MULTILINE))


def read_help() -> dict[str, str]:
    """Return the default of each option in the command's help, empty if it has none."""
    command = [sys.executable, "-m", "local_gateway", "--help"]
    environment = {**os.environ, "COLUMNS": "1000"}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    options = {}
    for entry in done.stdout.split("\n  --")[1:]:
        default = re.search(r"\(default: (.*)\)$", entry)
        options[f"--{entry.split()[0]}"] = default[1] if default else ""
    return options


def test_the_example_of_the_readme_refuses_and_answers(tmp_path: Path) -> None:
    [app], [config] = read_blocks(README, "python"), read_blocks(README, "json")
    assert len((app + config).splitlines()) <= 20
    with serving(write_project(tmp_path, app, config)) as server:
        with pytest.raises(InvalidStatus, match="401"):
            server.connect()
        with server.connect(name="anna") as client:
            client.send("hello")
            assert client.recv(SECONDS) == "You said: hello"


def test_the_readme_lists_the_options_and_defaults_of_the_help() -> None:
    row = r"^\| `(--[a-z-]+)[^`]*` \| `?([^`| ]*)`? ?\|"
    rows = re.findall(row, README.read_text(), re.MULTILINE)
    assert len(rows) == len(dict(rows))
    assert dict(rows) == read_help()


def test_the_reference_explains_the_options_that_need_it() -> None:
    section = OPTIONS.read_text().partition("## Command line\n")[2].partition("\n## ")[0]
    explained_elsewhere = {"--project", "--version"}
    assert set(re.findall(r"`(--[a-z-]+)`", section)) == read_help().keys() - explained_elsewhere


def test_the_docs_list_all_faults() -> None:
    listed = re.findall(r"`([a-z_]+)`", read_first_cells(FAULTS, "All faults"))
    assert len(listed) == len(set(listed))
    assert set(listed) == set(Faults().to_dict())


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_links_of_a_page_lead_to_files(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text())
    missing = [target for target in targets if not (page.parent / target).exists()]
    assert missing == []


APP = """
import os
from chalice import Chalice

app = Chalice(app_name="chat")
app.experimental_feature_flags.update(["WEBSOCKETS"])


@app.lambda_function()
def authorizer(event, context):
    assert context.get_remaining_time_in_millis() <= 3000
    allow = {"Action": "*", "Effect": "Allow", "Resource": event["methodArn"]}
    return {"principalId": "x", "policyDocument": {"Version": "2012-10-17", "Statement": [allow]}}


@app.on_ws_message()
def message(event):
    return {"body": os.environ["GREETING"]}
"""


def test_the_handler_in_the_docs_invokes_a_function(tmp_path: Path) -> None:
    [handler] = [code for code in read_blocks(OPTIONS, "python") if "InvocationType" in code]
    start = """
import json
import boto3
from chalice import Chalice
app = Chalice(app_name="chat")
app.experimental_feature_flags.update(["WEBSOCKETS"])
"""
    project = write_project(tmp_path, start + handler, '{"app_name": "chat"}')
    with serving(project, "--no-reload") as server, server.connect() as client:
        client.send("a long story")
        server.out.wait_for("a long story")
        server.out.wait_for("lambda chat-local-summarize ok")


def test_the_configuration_in_the_docs_works(tmp_path: Path) -> None:
    [config] = read_blocks(OPTIONS, "json")
    tables, user_pool = read_blocks(EMBEDDED_AWS, "json")
    write_project(tmp_path, APP, config)
    (tmp_path / "tables.json").write_text(tables)
    (tmp_path / "user_pool.json").write_text(user_pool)
    (tmp_path / "chalicelib").mkdir()
    _authorizer, voices = read_blocks(EMBEDDED_AWS, "python")
    (tmp_path / "chalicelib" / "voices.py").write_text(voices)
    with serving(tmp_path, has_aws=True) as server:
        variables = server.request("GET", "/_local_gateway/environment")[1]["environment"]
        with pytest.raises(InvalidStatus, match="401"):
            server.connect()
        with server.connect(token="x") as client:
            client.send("hello")
            assert client.recv(SECONDS) == "hello from this machine"
        polly = boto3.client(
            "polly",
            endpoint_url=variables["AWS_ENDPOINT_URL_POLLY"],
            region_name=variables["AWS_REGION"],
            aws_access_key_id=variables["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=variables["AWS_SECRET_ACCESS_KEY"],
        )
        speech = polly.synthesize_speech(Text="hi", OutputFormat="pcm", VoiceId="Joanna")
        assert speech["AudioStream"].read() == bytes(3200)
    examples = re.findall(r"such as `([A-Z_]+)`", EMBEDDED_AWS.read_text())
    assert set(examples) == {"AWS_ENDPOINT_URL_POLLY", "CONNECTIONS_TABLE", "MEDIA_BUCKET"}
    named = re.findall(r"`([A-Z_]+)`", read_first_cells(EMBEDDED_AWS))
    made_by_name = {"AWS_ENDPOINT_URL_SERVICE", "NAME_TABLE", "NAME_BUCKET", "NAME_URL"}
    of_the_gateway = {"AWS_ENDPOINT_URL_DYNAMODB"}
    assert variables.keys() >= {*named, *examples} - made_by_name - of_the_gateway


POOL_CONFIG = """{
  "app_name": "x",
  "websocket_api": {"authorizer_function": "authorizer"},
  "local_gateway": {"aws": {"user_pool": "user_pool.json"}}
}"""


def test_the_authorizer_in_the_docs_accepts_only_tokens_of_the_pool(tmp_path: Path) -> None:
    authorizer, _voices = read_blocks(EMBEDDED_AWS, "python")
    app = f"from chalice import Chalice\napp = Chalice('x')\n{authorizer}"
    (tmp_path / "user_pool.json").write_text("{}")
    with serving(write_project(tmp_path, app, POOL_CONFIG), has_aws=True) as server:
        token = token_of(server.address[1], "anna@example.com")
        head, _, signature = token.rpartition(".")
        for wrong in ("", "x", head, f"{head}.{signature[::-1]}"):
            with pytest.raises(InvalidStatus, match="401"):
                server.connect(token=wrong)
        with server.connect(token=token):
            server.out.wait_for("authorizer allow")
