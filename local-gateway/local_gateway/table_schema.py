"""The file that describes DynamoDB tables, with its members checked."""

import re
from collections.abc import Mapping
from typing import Any, Final

from local_gateway.settings import InvalidSettings, as_members

_TABLE: Final = ("partition_key", "sort_key", "ttl_attribute", "indexes")
_INDEX: Final = ("name", "partition_key", "sort_key", "projection")
_KEY: Final = ("name", "type")

_KEY_TYPES: Final = ("S", "N", "B")
_PROJECTIONS: Final = ("ALL", "KEYS_ONLY")
_TABLE_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_.-]*")
_INDEX_NAME: Final = re.compile(r"[A-Za-z0-9_.-]{3,255}")
"""Source: DynamoDB developer guide, "Naming rules". A table's full name has a longer start."""

_MAX_ATTRIBUTE_CHARACTERS: Final = 255
"""Maximum length of a key's name. Source: DynamoDB developer guide, "Naming rules"."""


def table_variable(name: str) -> str:
    """Return the environment variable with a table's full name. Shells can export it."""
    return f"{re.sub(r'[^A-Za-z0-9]', '_', name).upper()}_TABLE"


def check_tables(tables: Mapping[str, Any], file: str) -> None:
    """Check the tables of a file.

    Raises:
        InvalidSettings: A name or member isn't valid. The message starts with the file's name.
    """
    variables: set[str] = set()
    for name, table in tables.items():
        if not _TABLE_NAME.fullmatch(name):
            raise InvalidSettings(
                f"{file}: {name!r} must have letters, digits, and _ . -, and start with a letter"
            )
        variable = table_variable(name)
        if variable in variables:
            raise InvalidSettings(f"{file}: two tables have the variable {variable}")
        variables.add(variable)
        _check_table(table, f"{file}: {name}")


def _check_table(table: Any, where: str) -> None:
    members = as_members(table, where, _TABLE)
    _check_keys(members, where)
    if "ttl_attribute" in members:
        _check_attribute(members["ttl_attribute"], f"{where}.ttl_attribute")
    indexes = members.get("indexes", [])
    if not isinstance(indexes, list):
        raise InvalidSettings(f"{where}.indexes must be a list")
    for number, index in enumerate(indexes):
        _check_index(index, f"{where}.indexes[{number}]")


def _check_index(index: Any, where: str) -> None:
    members = as_members(index, where, _INDEX)
    name = _required(members, "name", where)
    if not isinstance(name, str) or not _INDEX_NAME.fullmatch(name):
        raise InvalidSettings(f"{where}.name must have 3 to 255 letters, digits, and _ . -")
    _check_keys(members, where)
    _check_choice(_required(members, "projection", where), _PROJECTIONS, f"{where}.projection")


def _check_keys(holder: Mapping[str, Any], where: str) -> None:
    _required(holder, "partition_key", where)
    for name in ("partition_key", "sort_key"):
        if name in holder:
            key_where = f"{where}.{name}"
            key = as_members(holder[name], key_where, _KEY)
            _check_attribute(_required(key, "name", key_where), f"{key_where}.name")
            _check_choice(_required(key, "type", key_where), _KEY_TYPES, f"{key_where}.type")


def _required(holder: Mapping[str, Any], name: str, where: str) -> Any:
    if name not in holder:
        raise InvalidSettings(f"{where}.{name} is missing")
    return holder[name]


def _check_attribute(name: Any, where: str) -> None:
    if not isinstance(name, str) or not 0 < len(name) <= _MAX_ATTRIBUTE_CHARACTERS:
        raise InvalidSettings(
            f"{where} must be a string of 1 to {_MAX_ATTRIBUTE_CHARACTERS} characters"
        )


def _check_choice(value: Any, choices: tuple[str, ...], where: str) -> None:
    if value not in choices:
        raise InvalidSettings(f"{where} must be one of {', '.join(choices)}")
