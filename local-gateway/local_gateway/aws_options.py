"""The options of the embedded AWS in a project's .chalice/config.json.

For example: `"local_gateway": {"aws": {"tables": "tables.json"}}`. The object can be empty. Without
it, the project has no embedded AWS.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from local_gateway.public_buckets import bucket_variables
from local_gateway.settings import InvalidSettings, as_members, as_object
from local_gateway.table_schema import check_tables

_OWN_SERVICES = ("apigatewaymanagementapi", "dynamodb", "lambda")

_USER_POOL: Final[Mapping[str, tuple[str, ...]]] = {
    "explicit_auth_flows": (
        "ADMIN_NO_SRP_AUTH",
        "ALLOW_ADMIN_USER_PASSWORD_AUTH",
        "ALLOW_CUSTOM_AUTH",
        "ALLOW_REFRESH_TOKEN_AUTH",
        "ALLOW_USER_AUTH",
        "ALLOW_USER_PASSWORD_AUTH",
        "ALLOW_USER_SRP_AUTH",
        "CUSTOM_AUTH_FLOW_ONLY",
        "USER_PASSWORD_AUTH",
    ),
    "allowed_oauth_flows": ("code", "implicit", "client_credentials"),
    "allowed_oauth_scopes": (),
}
"""The members of the user pool's file, with their values; () for any.

Source: Cognito API reference, CreateUserPoolClient.
"""

_BUCKET: Final = re.compile("[a-z][a-z0-9]*(-[a-z0-9]+)*")
"""Source: S3 user guide, "General purpose bucket naming rules". The full name starts otherwise."""

_WHERE = ".chalice/config.json: local_gateway.aws"


@dataclass(frozen=True, slots=True)
class AwsOptions:
    """The contents of the embedded AWS.

    Attributes:
        tables: The DynamoDB tables by name, as `tables.create_tables` takes them.
        user_pool: The settings of the user pool's app client, as `user_pool.app_client_request`
            takes them; None for no user pool.
        buckets: The names of S3 buckets whose objects are public.
        stand_ins: ASGI applications, as `module:name`, by the AWS service in whose place they
            respond.
        files: The files that the options name.
    """

    tables: Mapping[str, Any] = field(default_factory=dict)
    user_pool: Mapping[str, Any] | None = None
    stand_ins: Mapping[str, str] = field(default_factory=dict)
    buckets: tuple[str, ...] = ()
    files: frozenset[Path] = field(default=frozenset(), compare=False)


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
    aws = as_members(options["aws"], _WHERE, ("tables", "user_pool", "buckets", "stand_ins"))
    stand_ins = as_object(aws.get("stand_ins", {}), f"{_WHERE}.stand_ins")
    for service, application in stand_ins.items():
        if service in _OWN_SERVICES:
            raise InvalidSettings(f"{_WHERE}.stand_ins: the gateway itself serves {service}")
        if not _is_object_name(application):
            raise InvalidSettings(f"{_WHERE}.stand_ins.{service} must be a string, module:name")
    buckets = aws.get("buckets", [])
    _check_buckets(buckets)
    tables, user_pool = (_read(directory, aws, option) for option in ("tables", "user_pool"))
    if tables is not None:
        check_tables(tables, aws["tables"])
    if user_pool is not None:
        _check_user_pool(user_pool, aws["user_pool"])
    names = filter(None, (aws.get("tables"), aws.get("user_pool")))
    files = frozenset(directory / name for name in names)
    return AwsOptions(tables or {}, user_pool, stand_ins, tuple(buckets), files)


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


def _check_buckets(buckets: Any) -> None:
    where = f"{_WHERE}.buckets"
    if not isinstance(buckets, list):
        raise InvalidSettings(f"{where} must be a list")
    for name in buckets:
        if not isinstance(name, str) or not _BUCKET.fullmatch(name):
            raise InvalidSettings(
                f"{where}: {name!r} must have lower-case letters, digits and hyphens, and start "
                "with a letter"
            )
    if len(set(map(bucket_variables, buckets))) < len(buckets):
        raise InvalidSettings(f"{where}: two buckets have the same name")


def _check_user_pool(user_pool: Any, file: str) -> None:
    for name, values in as_members(user_pool, file, tuple(_USER_POOL)).items():
        if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
            raise InvalidSettings(f"{file}: {name} must be a list of strings")
        choices = _USER_POOL[name]
        unknown = [value for value in values if choices and value not in choices]
        if unknown:
            choice = ", ".join(choices)
            raise InvalidSettings(f"{file}: {name}: {unknown[0]!r} must be one of {choice}")


def _is_object_name(value: Any) -> bool:
    module, _, name = value.partition(":") if isinstance(value, str) else ("", "", "")
    return name.isidentifier() and all(map(str.isidentifier, module.split(".")))
