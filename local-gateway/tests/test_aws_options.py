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
from local_gateway.table_schema import table_variable

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
        (settings(buckets="media"), "local_gateway.aws.buckets must be a list"),
        (settings(buckets=[5]), "aws.buckets: 5 must have lower-case letters"),
        (settings(buckets=["Media"]), "aws.buckets: 'Media' must have lower-case letters"),
        (settings(buckets=["my-"]), "aws.buckets: 'my-' must have lower-case letters"),
        (settings(buckets=["a", "a"]), "aws.buckets: two buckets have the same name"),
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
INDEX = {"name": "room-index", "partition_key": KEY, "projection": "ALL"}


@pytest.mark.parametrize(
    ("option", "content", "said"),
    [
        ("tables", {"a": 5}, "x.json: a must be an object"),
        ("tables", {"a": {"ttl": "t"}}, "x.json: a has no option 'ttl'"),
        ("tables", {"a": {}}, "x.json: a.partition_key is missing"),
        (
            "tables",
            {"a": {"partition_key": {"name": "id"}}},
            "x.json: a.partition_key.type is missing",
        ),
        (
            "tables",
            {"a": {"partition_key": {**KEY, "type": "string"}}},
            "x.json: a.partition_key.type must be one of S, N, B",
        ),
        (
            "tables",
            {"a": {"partition_key": {**KEY, "name": ""}}},
            "x.json: a.partition_key.name must be a string of 1 to 255 characters",
        ),
        (
            "tables",
            {"a": {"partition_key": KEY, "ttl_attribute": 5}},
            "x.json: a.ttl_attribute must be a string of 1 to 255 characters",
        ),
        (
            "tables",
            {"a": {"partition_key": KEY, "indexes": [{}]}},
            "x.json: a.indexes[0].name is missing",
        ),
        (
            "tables",
            {"a": {"partition_key": KEY, "indexes": [{**INDEX, "name": "ix"}]}},
            "x.json: a.indexes[0].name must have 3 to 255 letters, digits, and _ . -",
        ),
        (
            "tables",
            {"a": {"partition_key": KEY, "indexes": [{**INDEX, "projection": "INCLUDE"}]}},
            "x.json: a.indexes[0].projection must be one of ALL, KEYS_ONLY",
        ),
        (
            "tables",
            {"my lots": {"partition_key": KEY}},
            "x.json: 'my lots' must have letters, digits, and _ . -, and start with a letter",
        ),
        (
            "tables",
            {"my-lots": {"partition_key": KEY}, "my_lots": {"partition_key": KEY}},
            "x.json: two tables have the variable MY_LOTS_TABLE",
        ),
        ("tables", {"a": {"partition_key": "id"}}, "x.json: a.partition_key must be an object"),
        (
            "tables",
            {"a": {"partition_key": KEY, "sort_key": {**KEY, "x": 1}}},
            "x.json: a.sort_key has no option 'x'",
        ),
        ("tables", {"a": {"partition_key": KEY, "indexes": 5}}, "x.json: a.indexes must be a list"),
        (
            "tables",
            {"a": {"partition_key": KEY, "indexes": [{"x": 1}]}},
            "x.json: a.indexes[0] has no option 'x'",
        ),
        (
            "tables",
            {"a": {"partition_key": KEY, "indexes": [{**INDEX, "partition_key": {"nam": "id"}}]}},
            "x.json: a.indexes[0].partition_key has no option 'nam'",
        ),
        ("user_pool", {"callback_urls": []}, "x.json has no option 'callback_urls'"),
        (
            "user_pool",
            {"explicit_auth_flows": ["NOPE"]},
            "x.json: explicit_auth_flows: 'NOPE' must be one of ADMIN_NO_SRP_AUTH, "
            "ALLOW_ADMIN_USER_PASSWORD_AUTH, ALLOW_CUSTOM_AUTH, ALLOW_REFRESH_TOKEN_AUTH, "
            "ALLOW_USER_AUTH, ALLOW_USER_PASSWORD_AUTH, ALLOW_USER_SRP_AUTH, "
            "CUSTOM_AUTH_FLOW_ONLY, USER_PASSWORD_AUTH",
        ),
        (
            "user_pool",
            {"allowed_oauth_flows": "code"},
            "x.json: allowed_oauth_flows must be a list of strings",
        ),
        (
            "user_pool",
            {"allowed_oauth_scopes": [5]},
            "x.json: allowed_oauth_scopes must be a list of strings",
        ),
    ],
)
def test_an_invalid_member_of_a_file_is_explained(
    tmp_path: Path, option: str, content: Any, said: str
) -> None:
    (tmp_path / "x.json").write_text(json.dumps(content))
    with pytest.raises(InvalidSettings, match=f"^{re.escape(said)}$"):
        read_options(tmp_path, settings(**{option: "x.json"}))


def test_a_tables_variable_can_be_exported_by_a_shell() -> None:
    assert table_variable("my-lots.v2") == "MY_LOTS_V2_TABLE"


def test_a_project_without_the_options_has_no_embedded_aws(tmp_path: Path) -> None:
    assert read_options(tmp_path, {"app_name": "x"}) is None
    assert read_options(tmp_path, {"local_gateway": {}}) is None


def test_an_empty_object_is_an_embedded_aws_without_resources(tmp_path: Path) -> None:
    assert read_options(tmp_path, settings()) == AwsOptions({}, None, {})


def test_the_files_are_read_from_the_projects_folder(tmp_path: Path) -> None:
    (tmp_path / "tables.json").write_text(json.dumps(TABLES))
    (tmp_path / "pool.json").write_text("{}")
    stand_ins = {"polly": "voices:app"}
    config = settings(
        tables="tables.json", user_pool="pool.json", stand_ins=stand_ins, buckets=["media"]
    )
    assert read_options(tmp_path, config) == AwsOptions(TABLES, {}, stand_ins, ("media",))


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
