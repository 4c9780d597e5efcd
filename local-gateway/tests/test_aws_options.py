"""The options of the embedded AWS in config.json."""

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

from gateway_support.serving import SECONDS, Server, write_project
from local_gateway.aws_options import AwsOptions, read_options
from local_gateway.settings import InvalidSettings

TABLES = {"messages": {"partition_key": {"name": "id", "type": "S"}}}


def settings(**aws: Any) -> dict[str, Any]:
    return {"local_gateway": {"aws": aws}}


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"local_gateway": []}, "local_gateway must be an object"),
        ({"local_gateway": {"aws": True}}, "local_gateway.aws must be an object"),
        (settings(table="a.json"), "local_gateway.aws has no option 'table'"),
        (settings(tables=5), "local_gateway.aws.tables must be the path of a JSON file"),
        (settings(tables="no.json"), "aws.tables: no.json: No such file or directory"),
        (settings(tables="broken.json"), "broken.json: Expecting value"),
        (settings(user_pool="list.json"), "list.json must be an object"),
        (settings(stand_ins={"lambda": "x:y"}), "stand_ins: the gateway itself serves lambda"),
        (settings(stand_ins=["x"]), "local_gateway.aws.stand_ins must be an object"),
        (settings(stand_ins={"polly": "x"}), "stand_ins.polly must be a string, module:name"),
        (settings(stand_ins={"polly": 5}), "stand_ins.polly must be a string, module:name"),
    ],
)
def test_invalid_options_are_explained(tmp_path: Path, config: Any, said: str) -> None:
    (tmp_path / "broken.json").write_text("")
    (tmp_path / "list.json").write_text("[]")
    with pytest.raises(InvalidSettings) as error:
        read_options(tmp_path, config)
    assert said in str(error.value)
    assert "\n" not in str(error.value)


KEY = {"name": "id", "type": "S"}


@pytest.mark.parametrize(
    ("option", "content", "said"),
    [
        ("tables", {"a": 5}, "x.json: a must be an object"),
        ("tables", {"a": {"ttl": "t"}}, "x.json: a has no option 'ttl'"),
        ("tables", {"a": {"partition_key": "id"}}, "x.json: a.partition_key must be an object"),
        ("tables", {"a": {"sort_key": {**KEY, "x": 1}}}, "x.json: a.sort_key has no option 'x'"),
        ("tables", {"a": {"indexes": 5}}, "x.json: a.indexes must be a list"),
        ("tables", {"a": {"indexes": [{"x": 1}]}}, "x.json: a.indexes[0] has no option 'x'"),
        (
            "tables",
            {"a": {"indexes": [{"partition_key": {"nam": "id"}}]}},
            "x.json: a.indexes[0].partition_key has no option 'nam'",
        ),
        ("user_pool", {"callback_urls": []}, "x.json has no option 'callback_urls'"),
    ],
)
def test_an_unknown_member_of_a_file_is_explained(
    tmp_path: Path, option: str, content: Any, said: str
) -> None:
    (tmp_path / "x.json").write_text(json.dumps(content))
    with pytest.raises(InvalidSettings, match=f"^{re.escape(said)}$"):
        read_options(tmp_path, settings(**{option: "x.json"}))


def test_a_project_without_the_options_has_no_embedded_aws(tmp_path: Path) -> None:
    assert read_options(tmp_path, {"app_name": "x"}) is None
    assert read_options(tmp_path, {"local_gateway": {}}) is None


def test_an_empty_object_is_an_embedded_aws_without_resources(tmp_path: Path) -> None:
    assert read_options(tmp_path, settings()) == AwsOptions({}, None, {})


def test_the_files_are_read_from_the_projects_folder(tmp_path: Path) -> None:
    (tmp_path / "tables.json").write_text(json.dumps(TABLES))
    (tmp_path / "pool.json").write_text("{}")
    stand_ins = {"polly": "voices:app"}
    config = settings(tables="tables.json", user_pool="pool.json", stand_ins=stand_ins)
    assert read_options(tmp_path, config) == AwsOptions(TABLES, {}, stand_ins)


WITHOUT_MINISTACK = """
import importlib.util
find_spec = importlib.util.find_spec
importlib.util.find_spec = lambda name: None if name == "ministack" else find_spec(name)
"""


def test_an_embedded_aws_without_its_packages_is_explained(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(WITHOUT_MINISTACK)
    config = json.dumps({"app_name": "x", **settings()})
    project = write_project(tmp_path, "from chalice import Chalice\napp = Chalice('x')\n", config)
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    server = Server(project, has_aws=True, PYTHONPATH=path)
    assert server.process.wait(SECONDS) == 1
    assert server.err.join() == (
        "chalice-local-gateway: the embedded AWS needs ministack: install the gateway with the "
        "extra aws, or start it with --no-aws\n"
    )
