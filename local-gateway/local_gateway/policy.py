"""Evaluation of an authorizer's result."""

import fnmatch
import json
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

RESULT_LIMIT_BYTES = 8 * 1024
"""Maximum size of an authorizer's result. Source: developer guide, limits of WebSocket APIs."""

_INVOKE = "execute-api:Invoke"


class InvalidResult(Exception):
    """The authorizer's result isn't valid. API Gateway responds with status 500."""


def is_allowed(result: Any, arn: str) -> bool:
    """Return whether the result's policy allows execute-api:Invoke on the ARN.

    A matching Deny statement overrides Allow statements.

    Raises:
        InvalidResult: The result contains no valid IAM policy, or its policy contains NotAction,
            NotResource or Condition, which AWS evaluates but the gateway doesn't.
    """
    _check_result(result)
    effects = {
        statement["Effect"]
        for statement in _statements(result["policyDocument"])
        if _matches(statement["Action"], _INVOKE, re.IGNORECASE)
        and _matches(statement["Resource"], arn, 0)
    }
    return "Allow" in effects and "Deny" not in effects


def authorizer_context(result: Mapping[str, Any], latency_ms: int) -> dict[str, Any]:
    """Return the `authorizer` object of the connection's later events.

    It contains the principal ID and the context's values as strings.

    Raises:
        InvalidResult: The context isn't an object of strings, numbers and booleans.
    """
    context = result.get("context") or {}
    if not isinstance(context, dict):
        raise InvalidResult("context must be an object")
    return {
        **{name: _as_text(name, value) for name, value in context.items()},
        "principalId": result["principalId"],
        "integrationLatency": latency_ms,
    }


def _check_result(result: Any) -> None:
    if not isinstance(result, dict) or not isinstance(result.get("policyDocument"), dict):
        raise InvalidResult("an authorizer must return an object with a policyDocument")
    if not isinstance(result.get("principalId"), str):
        raise InvalidResult("an authorizer must return a principalId, a string")
    if len(json.dumps(result)) > RESULT_LIMIT_BYTES:
        raise InvalidResult(f"an authorizer's result must not exceed {RESULT_LIMIT_BYTES} bytes")


def _statements(document: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    member = document.get("Statement")
    statements: list[Any] = member if isinstance(member, list) else [member]
    for statement in statements:
        if not isinstance(statement, dict) or statement.get("Effect") not in ("Allow", "Deny"):
            raise InvalidResult("each Statement must be an object with Effect Allow or Deny")
        if not _is_names(statement.get("Action")) or not _is_names(statement.get("Resource")):
            raise InvalidResult("each Statement must have an Action and a Resource")
        if statement.keys() & {"Condition", "NotAction", "NotResource"}:
            raise InvalidResult("the gateway can't evaluate Condition, NotAction or NotResource")
    return statements


def _is_names(member: Any) -> bool:
    names = member if isinstance(member, list) else [member]
    return bool(names) and all(isinstance(name, str) for name in names)


def _matches(patterns: str | list[str], name: str, flags: int) -> bool:
    names = [patterns] if isinstance(patterns, str) else patterns
    return any(_compile(pattern, flags).fullmatch(name) for pattern in names)


@lru_cache(maxsize=256)
def _compile(pattern: str, flags: int) -> re.Pattern[str]:
    """Compile IAM's wildcards. "*" matches any text, including "/" and ":", "?" one character.

    fnmatch's expressions don't backtrack from one "*" to another.
    """
    return re.compile(fnmatch.translate(pattern.replace("[", "[[]")), flags)


def _as_text(name: str, value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool | int | float):
        return json.dumps(value)
    raise InvalidResult(f"context value {name} must be a string, a number or a boolean")
