"""The options of the embedded AWS in a project's .chalice/config.json.

For example: `"local_gateway": {"aws": {"tables": "tables.json"}}`. The object can be empty. Without
it, the project has no embedded AWS.
"""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from local_gateway.settings import InvalidSettings, as_object

_OWN_SERVICES = ("apigatewaymanagementapi", "dynamodb", "lambda")

_USER_POOL = ("explicit_auth_flows", "allowed_oauth_flows", "allowed_oauth_scopes")
_TABLE = ("partition_key", "sort_key", "ttl_attribute", "indexes")
_INDEX = ("name", "partition_key", "sort_key", "projection")
_KEY = ("name", "type")

_WHERE = ".chalice/config.json: local_gateway.aws"


@dataclass(frozen=True, slots=True)
class AwsOptions:
    """The contents of the embedded AWS.

    Attributes:
        tables: The DynamoDB tables by name, as `tables.create_tables` takes them.
        user_pool: The settings of the user pool's app client, as `user_pool.app_client_request`
            takes them; None for no user pool.
        stand_ins: ASGI applications, as `module:name`, by the AWS service in whose place they
            respond.
    """

    tables: Mapping[str, Any] = field(default_factory=dict)
    user_pool: Mapping[str, Any] | None = None
    stand_ins: Mapping[str, str] = field(default_factory=dict)


def read_options(directory: Path, settings: Mapping[str, Any]) -> AwsOptions | None:
    """Read the options and the files that they name.

    Args:
        directory: The project's folder.
        settings: The contents of .chalice/config.json.

    Returns:
        None if the project has no embedded AWS.

    Raises:
        InvalidSettings: An option is unknown or isn't valid.
    """
    options = as_object(settings.get("local_gateway", {}), ".chalice/config.json: local_gateway")
    if "aws" not in options:
        return None
    aws = _members(options["aws"], _WHERE, ("tables", "user_pool", "stand_ins"))
    stand_ins = as_object(aws.get("stand_ins", {}), f"{_WHERE}.stand_ins")
    for service, application in stand_ins.items():
        if service in _OWN_SERVICES:
            raise InvalidSettings(f"{_WHERE}.stand_ins: the gateway itself serves {service}")
        if not _is_object_name(application):
            raise InvalidSettings(f"{_WHERE}.stand_ins.{service} must be a string, module:name")
    tables, user_pool = (_read(directory, aws, option) for option in ("tables", "user_pool"))
    for name, table in (tables or {}).items():
        _check_table(table, f"{aws['tables']}: {name}")
    if user_pool is not None:
        _members(user_pool, aws["user_pool"], _USER_POOL)
    return AwsOptions(tables or {}, user_pool, stand_ins)


def _read(directory: Path, aws: Mapping[str, Any], option: str) -> Mapping[str, Any] | None:
    """Read the JSON file that an option names; None if the option is missing."""
    name = aws.get(option)
    if name is None:
        return None
    if not isinstance(name, str):
        raise InvalidSettings(f"{_WHERE}.{option} must be the path of a JSON file")
    try:
        return as_object(json.loads((directory / name).read_text()), name)
    except OSError as error:
        raise InvalidSettings(f"{_WHERE}.{option}: {name}: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise InvalidSettings(f"{name}: {error}") from None


def _check_table(table: Any, where: str) -> None:
    members = _members(table, where, _TABLE)
    _check_keys(members, where)
    indexes = members.get("indexes", [])
    if not isinstance(indexes, list):
        raise InvalidSettings(f"{where}.indexes must be a list")
    for number, index in enumerate(indexes):
        index_where = f"{where}.indexes[{number}]"
        _check_keys(_members(index, index_where, _INDEX), index_where)


def _check_keys(holder: Mapping[str, Any], where: str) -> None:
    for name in ("partition_key", "sort_key"):
        if name in holder:
            _members(holder[name], f"{where}.{name}", _KEY)


def _members(value: Any, where: str, allowed: Collection[str]) -> Mapping[str, Any]:
    """Return an object that has no other members than the allowed ones."""
    members = as_object(value, where)
    unknown = members.keys() - allowed
    if unknown:
        raise InvalidSettings(f"{where} has no option {sorted(unknown)[0]!r}")
    return members


def _is_object_name(value: Any) -> bool:
    module, _, name = value.partition(":") if isinstance(value, str) else ("", "", "")
    return name.isidentifier() and all(map(str.isidentifier, module.split(".")))
