"""The wire forms in protocol.py, compared with the parser and with the protocol's page."""

import json
import re
from pathlib import Path
from typing import Any, Final

import pytest

from chalicelib import commands, protocol
from chalicelib.errors import InvalidParameters, ServiceError
from chalicelib.fields import read_frame
from operations.asyncapi.schemas import Schema, forms_of, list_schemas, name_of

PAGE: Final = Path("docs/reference/protocol.md").read_text()
SCHEMAS: Final = list_schemas()
COMMANDS: Final = [it.command.__name__ for it in protocol.EXCHANGES]

LONGEST: Final = {
    "sessionId": f"golden{' ' * 113}eagle 427",
    "sourceLanguage": "en" + "-x" * 63,
    "targetLanguage": "en" + "-x" * 63,
    "inviteCode": "x" * 128,
    "connectionId": "x" * 128,
    "requestId": "x" * 64,
    "captionId": "x" * 128,
    "text": "\u00e9" * 1000,
}
"""A valid value of the maximum length for each text parameter that has no list of values."""


def parse(command: dict[str, Any]) -> commands.Command:
    fields = read_frame(json.dumps(command))
    commands.parse_request_id(fields)
    return commands.parse_command(fields)


def complete(schema: Schema) -> dict[str, Any]:
    """Return a command with all of its parameters."""
    return {
        name: LONGEST.get(name) or field.get("const") or field.get("maximum") or field["enum"][0]
        for name, field in schema["properties"].items()
    }


REQUIRED: Final = [
    (command, name)
    for command in COMMANDS
    for name in SCHEMAS[command]["required"]
    if name != "action"
]
OPTIONAL: Final = [
    (command, name)
    for command in COMMANDS
    for name in SCHEMAS[command]["properties"]
    if name not in SCHEMAS[command]["required"]
]


def test_every_action_has_a_wire_form() -> None:
    assert {name_of(it.command) for it in protocol.EXCHANGES} == commands.ACTIONS


@pytest.mark.parametrize("command", COMMANDS)
def test_the_parser_reads_the_parameters_of_the_wire_form_and_no_others(command: str) -> None:
    read: set[str] = set()

    class Fields(dict[str, object]):
        def __contains__(self, name: object) -> bool:
            read.add(str(name))
            return super().__contains__(name)

    fields = Fields(complete(SCHEMAS[command]))
    commands.parse_request_id(fields)
    commands.parse_command(fields)
    assert read | {"action"} == SCHEMAS[command]["properties"].keys()


@pytest.mark.parametrize(("command", "name"), REQUIRED)
def test_the_parser_refuses_a_command_without_a_required_parameter(command: str, name: str) -> None:
    fields = complete(SCHEMAS[command])
    del fields[name]
    with pytest.raises(InvalidParameters) as refusal:
        parse(fields)
    assert refusal.value.field == name


@pytest.mark.parametrize(("command", "name"), OPTIONAL)
def test_the_parser_accepts_a_command_without_an_optional_parameter(
    command: str, name: str
) -> None:
    fields = complete(SCHEMAS[command])
    del fields[name]
    assert parse(fields)


@pytest.mark.parametrize(("command", "name"), [*REQUIRED, *OPTIONAL])
def test_the_parser_accepts_the_values_of_the_wire_form_and_no_others(
    command: str, name: str
) -> None:
    fields = complete(SCHEMAS[command])
    schema = SCHEMAS[command]["properties"][name]
    if schema["type"] == "integer":
        for value in (schema["minimum"], schema["maximum"], float(schema["maximum"])):
            assert parse({**fields, name: value})
        refused: list[Any] = [schema["minimum"] - 1, schema["maximum"] + 1, 0.5, True, "1", None]
    elif name in LONGEST:
        assert len(LONGEST[name]) == schema["maxLength"]
        assert parse(fields)
        refused = ["", LONGEST[name] + "x"]
    else:
        for value in schema.get("enum", [schema.get("const")]):
            assert parse({**fields, name: value})
        refused = ["", "other"]
    for value in refused:
        with pytest.raises(InvalidParameters) as refusal:
            parse({**fields, name: value})
        assert refusal.value.field == name


def rows(heading: str) -> list[list[str]]:
    """Return the cells of a table on the page, below its head."""
    table = PAGE.partition(f"| {heading} |")[2].partition("\n\n")[0]
    return [line.strip("| ").split(" | ") for line in table.splitlines()[2:]]


def test_the_page_lists_the_fields_of_every_message() -> None:
    listed = {
        name: set(re.findall(r"`(\w+)`", fields))
        for names, _, fields in rows("type")
        for name in re.findall(r"`(\w+)`", names)
    }
    outcomes = [form for it in protocol.EXCHANGES for form in forms_of(it.outcome)]
    forms = [*outcomes, *protocol.NOTICES, protocol.ErrorMessage]
    assert listed.keys() == {name_of(form) for form in forms}
    for form in forms:
        fields = SCHEMAS[form.__name__]["properties"].keys()
        assert fields - {"type", "timestamp", "requestId"} <= listed[name_of(form)], form


def test_the_page_lists_every_error_with_its_status_and_whether_it_is_temporary() -> None:
    listed = [cells[:3] for cells in rows("error code")]
    errors: list[type[ServiceError]] = protocol.list_errors()
    assert listed == [
        [f"`{it.code}`", str(it.status), "yes" if it.temporary else "no"] for it in errors
    ]
