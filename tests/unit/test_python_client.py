"""The Python client's events, results and languages, compared with the service's."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, get_args, get_type_hints

import pytest

from broadcast_sessions_client import (
    AudienceChanged,
    CaptionAccepted,
    Membership,
    OwnedSession,
    Session,
    SessionStatus,
    State,
    find_language,
)
from broadcast_sessions_client.messages import OUTCOMES
from chalicelib import languages, protocol
from operations.asyncapi.schemas import forms_of, list_schemas, name_of
from tests.unit.test_exchanges import REASONS

SOURCES: Final = Path("clients/python/broadcast_sessions_client")
SCHEMAS: Final = list_schemas()
WIRE_NAMES: Final = {"id": "sessionId", "language": "targetLanguage"}
TYPES: Final = {"string": str, "integer": int, "object": Mapping[str, int]}


def wire_name(name: str) -> str:
    return WIRE_NAMES.get(name) or re.sub("_([a-z])", lambda found: found[1].upper(), name)


@pytest.mark.parametrize(
    ("result", "message"),
    [
        (AudienceChanged, "SpeakersHeartbeatAck"),
        (CaptionAccepted, "CaptionAccepted"),
        (Membership, "SessionJoined"),
        (OwnedSession, "SpeakerRefreshed"),
        (Session, "SessionCreated"),
        (SessionStatus, "SessionStatusAnswer"),
    ],
)
def test_every_field_has_the_type_of_a_required_field_of_the_message(
    result: Any, message: str
) -> None:
    schema = SCHEMAS[message]
    for name, hint in get_type_hints(result).items():
        assert wire_name(name) in schema["required"]
        assert hint == TYPES[schema["properties"][wire_name(name)]["type"]]


def test_the_client_has_the_states_of_the_exchanges() -> None:
    assert set(get_args(State)) == REASONS.keys()


def test_the_client_expects_the_outcome_of_every_command() -> None:
    assert {
        name_of(it.command): name_of(forms_of(it.outcome)[0]) for it in protocol.EXCHANGES
    } == OUTCOMES


def test_the_client_reads_no_field_that_the_service_does_not_send() -> None:
    of_service = set(SOURCES.glob("*.py")) - {SOURCES / "sign_in.py"}  # It reads Cognito's answers.
    texts = [path.read_text("utf-8") for path in of_service]
    read = {
        name
        for text in texts
        for name in re.findall(
            r'messages\.(?:text|number|whole_number|integer|counts)\(\w+, "(\w+)"[,)]', text
        )
    }
    sent = {name for schema in SCHEMAS.values() for name in _list_names(schema)}
    assert read
    assert read <= sent


def _list_names(schema: Any) -> set[str]:
    """List the names of a schema's fields, including those of objects in it."""
    if isinstance(schema, list):
        return {name for each in schema for name in _list_names(each)}
    if not isinstance(schema, dict):
        return set()
    return {*schema.get("properties", {})} | _list_names([*schema.values()])


@pytest.mark.parametrize("code", [*languages.LANGUAGES, *languages.SAME_LANGUAGE, "tlh", "en_US"])
def test_the_client_finds_the_language_that_the_service_finds(code: str) -> None:
    for tag in (code, code.upper(), f"{code}-XX", f"{code}-x-fr", f"{code}-Latn-XX"):
        assert find_language(tag) == languages.find(tag)
