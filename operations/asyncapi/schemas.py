"""JSON Schemas of the wire forms in chalicelib/protocol.py."""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from inspect import cleandoc
from types import UnionType
from typing import Annotated, Any, Final, Literal, NotRequired, get_args, get_origin, get_type_hints

from chalicelib import protocol

Schema = dict[str, Any]

_SIMPLE: Final[Mapping[Any, str]] = {
    bool: "boolean",
    int: "integer",
    float: "number",
    str: "string",
}


def list_schemas() -> dict[str, Schema]:
    """Return the schema of each command and message, by the name of its type."""
    schemas: dict[str, Schema] = {}
    for exchange in protocol.EXCHANGES:
        schemas[exchange.command.__name__] = _object(exchange.command, protocol.Correlated)
    for exchange in protocol.EXCHANGES:
        for form in forms_of(exchange.outcome):
            schemas[form.__name__] = _object(form, protocol.Timed, protocol.Correlated)
    for form in protocol.NOTICES:
        schemas.setdefault(form.__name__, _object(form, protocol.Timed))
    schemas["ErrorMessage"] = _error()
    schemas["GatewayError"] = _object(protocol.GatewayError)
    return schemas


def forms_of(wire_form: Any) -> tuple[Any, ...]:
    """Return the members of a union, or the only form."""
    return get_args(wire_form) or (wire_form,)


def name_of(form: Any) -> str:
    """Return a form's `action` or `type`. API Gateway's error has neither."""
    hints = get_type_hints(form)
    discriminator = hints.get("action") or hints.get("type")
    return str(get_args(discriminator)[0]) if discriminator else "gatewayError"


def _error() -> Schema:
    """Return the schema of `error`, which also says what follows from the code."""
    schema = _object(protocol.ErrorMessage, protocol.Timed, protocol.Correlated)
    errors = protocol.list_errors()
    rows = [
        f"| `{error.code}` | {error.status} | {'yes' if error.temporary else 'no'} "
        f"| {_summary(error).partition('. ')[0].removesuffix('.')} |"
        for error in errors
    ]
    head = ["| code | status of a handshake | temporary | cause |", "| --- | --- | --- | --- |"]
    schema["properties"]["code"]["description"] += "\n\n" + "\n".join([*head, *rows])
    temporary = [error.code for error in errors if error.temporary]
    return schema | {
        "allOf": [
            {
                "if": _has_code(temporary),
                "then": {"properties": {"temporary": {"const": True}}},
                "else": {"properties": {"temporary": {"const": False}}},
            },
            {"if": _has_code(protocol.WITH_RETRY_AFTER), "then": {"required": ["retryAfter"]}},
        ]
    }


def _has_code(codes: Iterable[str]) -> Schema:
    return {"properties": {"code": {"enum": list(codes)}}}


def _object(form: Any, *additions: Any) -> Schema:
    """Return the schema of a TypedDict, with the fields of others at its end."""
    hints: dict[str, Any] = {}
    required: frozenset[str] = frozenset()
    for each in (form, *additions):
        hints |= get_type_hints(each, include_extras=True)
        required |= each.__required_keys__
    names = sorted(hints, key=lambda name: name not in ("action", "type"))
    schema: Schema = {
        "type": "object",
        "description": _summary(form),
        "properties": {name: _schema(hints[name]) for name in names},
    }
    return schema | ({"required": [it for it in names if it in required]} if required else {})


def _schema(hint: Any) -> Schema:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is NotRequired:
        return _schema(arguments[0])
    if origin is Annotated:
        return _annotated(*arguments)
    if origin is Literal:
        return {"type": "string", "const": str(arguments[0])}
    if origin is UnionType:
        return {"anyOf": [_schema(each) for each in arguments]}
    if origin is list:
        return {"type": "array", "items": _schema(arguments[0])}
    if origin is dict:
        return {"type": "object", "additionalProperties": _schema(arguments[1])}
    if hint in _SIMPLE:
        return {"type": _SIMPLE[hint]}
    if issubclass(hint, StrEnum):
        return {"type": "string", "enum": [str(member) for member in hint]}
    return _object(hint)


def _annotated(hint: Any, *annotations: str | Schema) -> Schema:
    schema = _schema(hint)
    for each in annotations:
        schema |= {"description": each} if isinstance(each, str) else each
    return schema


def _summary(documented: Any) -> str:
    return cleandoc(documented.__doc__).partition("\n\n")[0].replace("\n", " ")
