"""A project's .chalice/config.json, with the settings that the gateway reads checked."""

import json
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

_MAX: Final = {"lambda_timeout": 900, "lambda_memory_size": 10_240}
"""The largest values. Source: Lambda's quotas."""

_WEBSOCKET_API: Final = {
    "authorizer_function": str,
    "route_responses": list,
    "identity_sources": list,
}


class InvalidSettings(Exception):
    """The file is missing, or a setting isn't valid. The message explains why in one line."""


def read_settings(directory: Path) -> dict[str, Any]:
    """Read and check the file.

    Raises:
        InvalidSettings: The file is missing, or a setting isn't valid.
    """
    path = directory / ".chalice" / "config.json"
    try:
        settings = json.loads(path.read_text())
    except OSError as error:
        raise InvalidSettings(f"not a Chalice project: {path}: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise InvalidSettings(f"{path}: {error}") from None
    name = settings.get("app_name") if isinstance(settings, dict) else None
    if not isinstance(name, str) or not name:
        raise InvalidSettings(f"{path}: app_name is missing")
    for where, level in _levels(settings):
        _check_level(where, level)
    return dict(settings)


def _levels(settings: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the objects with settings of functions: of all, of a stage, and of one function."""
    yield "", settings
    for stage, level in as_object(settings.get("stages", {}), "stages").items():
        where = f"stages.{stage}"
        yield f"{where}.", as_object(level, where)
        functions = as_object(level.get("lambda_functions", {}), f"{where}.lambda_functions")
        for name, own in functions.items():
            function = f"{where}.lambda_functions.{name}"
            yield f"{function}.", as_object(own, function)


def _check_level(where: str, level: Mapping[str, Any]) -> None:
    for name, maximum in _MAX.items():
        value = level.get(name, 1)
        if not isinstance(value, int) or isinstance(value, bool) or not 0 < value <= maximum:
            raise InvalidSettings(f"{where}{name} must be a whole number from 1 to {maximum}")
    _check_own_sections(where, level)
    where = f"{where}environment_variables"
    for name, value in as_object(level.get("environment_variables", {}), where).items():
        if not name or "=" in name or "\0" in name:
            raise InvalidSettings(f"{where}: {name!r} isn't the name of a variable")
        if not isinstance(value, str) or "\0" in value:
            raise InvalidSettings(f"{where}.{name} must be a string")


def _check_own_sections(where: str, level: Mapping[str, Any]) -> None:
    """Check the sections that Chalice ignores, and that they are not where they have no effect."""
    is_function = ".lambda_functions." in where
    if is_function and "websocket_api" in level:
        raise InvalidSettings(f"{where}websocket_api has no effect for a function")
    if where and "local_gateway" in level:
        raise InvalidSettings(f"{where}local_gateway has no effect: it applies to all stages")
    _check_websocket_api(level.get("websocket_api", {}), f"{where}websocket_api")


def _check_websocket_api(options: Any, where: str) -> None:
    for name, value in as_object(options, where).items():
        if name not in _WEBSOCKET_API:
            raise InvalidSettings(f"{where} has no setting {name!r}")
        is_none = name == "authorizer_function" and value is None
        if not isinstance(value, _WEBSOCKET_API[name]) and not is_none:
            kind = "a list" if _WEBSOCKET_API[name] is list else "a string"
            raise InvalidSettings(f"{where}.{name} must be {kind}")
    if options.get("route_responses", []) not in ([], ["$default"]):
        raise InvalidSettings(f'{where}.route_responses must be [] or ["$default"]')


def websocket_api(settings: Mapping[str, Any], stage: str) -> dict[str, Any]:
    """Return the settings of a stage's WebSocket API.

    Args:
        settings: The settings as `read_settings` returns them.
        stage: The stage, whose members override the project's members.

    Raises:
        InvalidSettings: There are identity sources, but no authorizer.
    """
    own = settings.get("stages", {}).get(stage, {}).get("websocket_api", {})
    merged = {**settings.get("websocket_api", {}), **own}
    if merged.get("identity_sources") and merged.get("authorizer_function") is None:
        raise InvalidSettings(
            "websocket_api.identity_sources has no effect without "
            f"websocket_api.authorizer_function (stage {stage})"
        )
    return merged


def as_object(value: Any, where: str) -> Mapping[str, Any]:
    """Return a JSON object.

    Raises:
        InvalidSettings: The value isn't an object. The message names where it is.
    """
    if not isinstance(value, dict):
        raise InvalidSettings(f"{where} must be an object")
    return value


def as_members(value: Any, where: str, allowed: Collection[str]) -> Mapping[str, Any]:
    """Return a JSON object that has no other members than the allowed ones.

    Raises:
        InvalidSettings: The value isn't such an object. The message names where it is.
    """
    members = as_object(value, where)
    unknown = members.keys() - allowed
    if unknown:
        raise InvalidSettings(f"{where} has no option {sorted(unknown)[0]!r}")
    return members
