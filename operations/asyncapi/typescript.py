"""TypeScript types of the commands and messages, from their JSON Schemas."""

import json
from collections.abc import Mapping
from typing import Any, Final

from chalicelib import protocol
from operations.asyncapi.schemas import Schema, forms_of

HEADER: Final = "// Generated from the service's code by `make asyncapi`."

_SIMPLE: Final[Mapping[str, str]] = {
    "boolean": "boolean",
    "integer": "number",
    "number": "number",
    "string": "string",
}


def declare(schemas: Mapping[str, Schema]) -> str:
    """Return a module with an interface for each schema, and the unions of them."""
    outcomes = [form for each in protocol.EXCHANGES for form in forms_of(each.outcome)]
    blocks = [
        HEADER,
        *(
            f"{_comment(schema)}export interface {name} {_type(schema)}"
            for name, schema in schemas.items()
        ),
        _union("Command", [each.command for each in protocol.EXCHANGES]),
        _union("Message", [*outcomes, *protocol.NOTICES, protocol.ErrorMessage]),
        'export type ErrorCode = ErrorMessage["code"];',
    ]
    return "\n\n".join(blocks) + "\n"


def _union(name: str, forms: list[Any]) -> str:
    members = dict.fromkeys(form.__name__ for form in forms)
    return f"export type {name} =" + "".join(f"\n  | {member}" for member in members) + ";"


def _type(schema: Schema, indent: str = "") -> str:
    if "const" in schema:
        return json.dumps(schema["const"])
    if "enum" in schema:
        return " | ".join(json.dumps(value) for value in schema["enum"])
    if "anyOf" in schema:
        return " | ".join(_type(each, indent) for each in schema["anyOf"])
    if schema["type"] == "array":
        return f"{_type(schema['items'], indent)}[]"
    if "additionalProperties" in schema:
        return f"Record<string, {_type(schema['additionalProperties'], indent)}>"
    return _SIMPLE.get(schema["type"]) or _fields(schema, indent)


def _fields(schema: Schema, indent: str) -> str:
    inner = indent + "  "
    lines = [
        f"{_comment(field, inner)}{inner}{name}{_mark(schema, name)}: {_type(field, inner)};\n"
        for name, field in schema["properties"].items()
    ]
    return "{\n" + "".join(lines) + indent + "}"


def _mark(schema: Schema, name: str) -> str:
    return "" if name in schema.get("required", []) else "?"


def _comment(schema: Schema, indent: str = "") -> str:
    text = schema.get("description", "").partition("\n")[0]
    return f"{indent}/** {text} */\n" if text else ""
