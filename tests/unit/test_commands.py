"""The parser of commands, and the encoding of messages."""

import json
from typing import Any

import pytest

from chalicelib import commands, languages, messages
from chalicelib.commands import (
    ChangeLanguage,
    CreateSession,
    EndSession,
    GetSessionStatus,
    Heartbeat,
    JoinSession,
    PauseSession,
    RefreshListener,
    RefreshSpeaker,
    ResumeSession,
    RotateInviteCode,
)
from chalicelib.errors import (
    InvalidAction,
    InvalidParameters,
    InvalidSessionId,
    MessageTooLarge,
    ServiceError,
    ServiceUnavailable,
    SessionFull,
    UnsupportedLanguage,
)
from chalicelib.fields import MAX_MESSAGE_BYTES, read_frame, read_query
from chalicelib.models import Admission, QualityTier

JOIN = {"action": "joinSession", "sessionId": "golden-eagle-427", "targetLanguage": "es"}
REFRESH_SPEAKER = {
    "action": "refreshConnection",
    "sessionId": "golden-eagle-427",
    "role": "speaker",
}
REFRESH_LISTENER = {**REFRESH_SPEAKER, "role": "listener", "targetLanguage": "es"}


def parse(text: str) -> commands.Command:
    return commands.parse_command(read_frame(text))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "joinSession",
        '{"action": "heartbeat"',
        "[]",
        '"heartbeat"',
        "null",
        "NaN",
        '{"action": "heartbeat", "x": Infinity}',
        "[" * 20_000,
        '{"action": "heartbeat", "x": ' + "9" * 5000 + "}",
        "{}",
        '{"action": ""}',
        '{"action": null}',
        '{"action": 7}',
        '{"action": ["heartbeat"]}',
        '{"action": "heartbeat", "action": "heartbeat"}',
        '{"action": "HEARTBEAT"}',
        '{"action": "fly"}',
        '{"Action": "heartbeat"}',
    ],
)
def test_a_frame_without_a_known_action_is_refused(text: str) -> None:
    with pytest.raises(InvalidAction):
        parse(text)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("sessionId", None),
        ("sessionId", 427),
        ("sessionId", ["golden-eagle-427"]),
        ("sessionId", ""),
        ("sessionId", "   "),
        ("sessionId", "golden-eagle-427\n"),
        ("sessionId", "golden\x00eagle-427"),
        ("sessionId", "a" * 129),
        ("targetLanguage", {}),
        ("targetLanguage", True),
        ("targetLanguage", ""),
        ("targetLanguage", "es\r"),
        ("inviteCode", None),
        ("inviteCode", 1),
        ("inviteCode", ""),
        ("inviteCode", "\ud800"),
        ("inviteCode", "x" * 129),
    ],
)
def test_an_error_names_a_parameter_that_is_not_plain_text(field: str, value: Any) -> None:
    with pytest.raises(InvalidParameters) as refusal:
        parse(json.dumps({**JOIN, field: value}))
    assert refusal.value.field == field


@pytest.mark.parametrize("field", ["sessionId", "targetLanguage"])
def test_an_error_names_a_missing_parameter(field: str) -> None:
    with pytest.raises(InvalidParameters) as refusal:
        parse(json.dumps({name: value for name, value in JOIN.items() if name != field}))
    assert refusal.value.field == field


@pytest.mark.parametrize("field", ["sessionId", "role", "targetLanguage"])
def test_an_error_names_a_missing_parameter_of_a_refresh(field: str) -> None:
    with pytest.raises(InvalidParameters) as refusal:
        parse(
            json.dumps({name: REFRESH_LISTENER[name] for name in REFRESH_LISTENER.keys() - {field}})
        )
    assert refusal.value.field == field


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("role", "Speaker"),
        ("role", "anyone"),
        ("role", ""),
        ("role", None),
        ("connectionId", ""),
        ("connectionId", 7),
        ("connectionId", None),
        ("connectionId", "x" * 129),
        ("inviteCode", 7),
    ],
)
def test_an_error_names_an_invalid_parameter_of_a_refresh(field: str, value: Any) -> None:
    with pytest.raises(InvalidParameters) as refusal:
        parse(json.dumps({**REFRESH_LISTENER, field: value}))
    assert refusal.value.field == field


def test_a_refresh_with_an_invalid_session_id_or_language_is_refused() -> None:
    with pytest.raises(InvalidSessionId):
        parse(json.dumps({**REFRESH_SPEAKER, "sessionId": "x"}))
    with pytest.raises(UnsupportedLanguage):
        parse(json.dumps({**REFRESH_LISTENER, "targetLanguage": "xx"}))


@pytest.mark.parametrize(
    "action", ["pauseSession", "resumeSession", "endSession", "getSessionStatus"]
)
def test_an_invalid_optional_session_id_is_refused(action: str) -> None:
    with pytest.raises(InvalidSessionId):
        parse(json.dumps({"action": action, "sessionId": "x"}))


def test_a_repeated_parameter_in_a_frame_is_refused() -> None:
    with pytest.raises(InvalidParameters) as refusal:
        parse('{"action": "joinSession", "sessionId": "a-b-100", "sessionId": "a-b-100"}')
    assert refusal.value.field == "sessionId"


def test_a_repeated_parameter_in_the_connect_url_is_refused() -> None:
    fields = read_query(
        {
            "action": ["joinSession"],
            "sessionId": ["golden-eagle-427"],
            "targetLanguage": ["es", "es"],
        }
    )
    with pytest.raises(InvalidParameters) as refusal:
        commands.parse_connect_command(fields)
    assert refusal.value.field == "targetLanguage"


@pytest.mark.parametrize("text", ["golden-eagle", "427", "golden-eagle-42", "gölden-eagle-427"])
def test_a_malformed_session_id_is_refused(text: str) -> None:
    with pytest.raises(InvalidSessionId):
        parse(json.dumps({**JOIN, "sessionId": text}))


@pytest.mark.parametrize("tag", ["xx", "auto", "klingon"])
def test_an_unknown_target_language_is_refused_with_a_list_of_valid_codes(tag: str) -> None:
    with pytest.raises(UnsupportedLanguage) as refusal:
        parse(json.dumps({**JOIN, "targetLanguage": tag}))
    details = messages.error(refusal.value)["details"]
    assert details["field"] == "targetLanguage"
    assert details["supported"] == sorted(languages.LANGUAGES)


def test_an_unknown_source_language_is_refused_with_a_list_of_valid_codes() -> None:
    with pytest.raises(UnsupportedLanguage) as refusal:
        parse('{"action": "createSession", "sourceLanguage": "tlh"}')
    details = messages.error(refusal.value)["details"]
    assert details == {
        "field": "sourceLanguage",
        "supported": sorted(languages.LANGUAGES),
    }


def test_commands_contain_the_supported_language_code_instead_of_the_clients_tag() -> None:
    created = parse('{"action": "createSession", "sourceLanguage": "en-US"}')
    assert created == CreateSession("en", QualityTier.STANDARD)
    joined = parse(json.dumps({**JOIN, "targetLanguage": "zh-Hant-HK"}))
    assert isinstance(joined, commands.JoinSession)
    assert joined.target_language == "zh-TW"


def test_a_language_needs_no_voice() -> None:
    created = parse('{"action": "createSession", "sourceLanguage": "sw"}')
    assert created == CreateSession("sw", QualityTier.STANDARD)
    joined = parse(json.dumps({**JOIN, "targetLanguage": "sw"}))
    assert joined == JoinSession("golden-eagle-427", "sw", None)


@pytest.mark.parametrize("tier", ["gold", "Premium", ""])
def test_an_unknown_quality_tier_is_refused(tier: str) -> None:
    with pytest.raises(InvalidParameters) as refusal:
        parse(json.dumps({"action": "createSession", "sourceLanguage": "en", "qualityTier": tier}))
    assert refusal.value.field == "qualityTier"


def test_a_message_over_32_kb_is_too_large() -> None:
    frame = json.dumps({**JOIN, "padding": ""})
    room = MAX_MESSAGE_BYTES - len(frame)
    at_the_limit = json.dumps({**JOIN, "padding": "x" * room})
    assert parse(at_the_limit) == parse(json.dumps(JOIN))
    with pytest.raises(MessageTooLarge):
        parse(at_the_limit + " ")
    with pytest.raises(MessageTooLarge):
        parse(json.dumps({**JOIN, "padding": "é" * room}, ensure_ascii=False))


@pytest.mark.parametrize("request_id", ["", 7, None, "x" * 65, "a\nb"])
def test_an_invalid_or_too_long_request_id_is_refused(request_id: Any) -> None:
    with pytest.raises(InvalidParameters) as refusal:
        commands.parse_request_id({"requestId": request_id})
    assert refusal.value.field == "requestId"


def test_an_answer_contains_a_request_id_of_64_characters() -> None:
    request_id = commands.parse_request_id({"requestId": "r" * 64})
    sent = json.loads(messages.encode({"type": "heartbeatAck", "requestId": request_id}, 5))
    assert sent == {"type": "heartbeatAck", "timestamp": 5, "requestId": "r" * 64}


@pytest.mark.parametrize(
    ("fields", "command"),
    [
        (JOIN, JoinSession("golden-eagle-427", "es", None)),
        ({**JOIN, "inviteCode": "abc"}, JoinSession("golden-eagle-427", "es", "abc")),
        (
            {**JOIN, "sessionId": " Golden EAGLE_427 ", "token": "ignored"},
            JoinSession("golden-eagle-427", "es", None),
        ),
        (
            {"action": "createSession", "sourceLanguage": "en", "qualityTier": "premium"},
            CreateSession("en", QualityTier.PREMIUM),
        ),
        ({"action": "heartbeat"}, Heartbeat()),
        ({"action": "changeLanguage", "targetLanguage": "fr-CA"}, ChangeLanguage("fr-CA", None)),
        ({"action": "getSessionStatus"}, GetSessionStatus(None)),
        ({"action": "pauseSession"}, PauseSession(None)),
        ({"action": "pauseSession", "sessionId": "A B 100"}, PauseSession("a-b-100")),
        ({"action": "resumeSession"}, ResumeSession(None)),
        (
            {"action": "createSession", "sourceLanguage": "en", "admission": "invited"},
            CreateSession("en", QualityTier.STANDARD, Admission.INVITED),
        ),
        ({"action": "rotateInviteCode"}, RotateInviteCode(None)),
        ({"action": "endSession", "sessionId": "A B 100"}, EndSession("a-b-100")),
        (REFRESH_SPEAKER, RefreshSpeaker("golden-eagle-427")),
        ({**REFRESH_SPEAKER, "targetLanguage": "xx"}, RefreshSpeaker("golden-eagle-427")),
        (REFRESH_LISTENER, RefreshListener("golden-eagle-427", "es", None, None)),
        (
            {**REFRESH_LISTENER, "connectionId": "L0SM9cOFvHcCIhw=", "inviteCode": "abc"},
            RefreshListener("golden-eagle-427", "es", "L0SM9cOFvHcCIhw=", "abc"),
        ),
    ],
)
def test_a_frame_is_parsed_into_its_command(
    fields: dict[str, Any], command: commands.Command
) -> None:
    assert parse(json.dumps(fields)) == command


def test_a_connect_url_without_an_action_has_no_command() -> None:
    assert commands.parse_connect_command(read_query({"token": ["t"]})) is None


@pytest.mark.parametrize(
    "action",
    [
        "",
        "heartbeat",
        "endSession",
        "rotateInviteCode",
        "pauseSession",
        "resumeSession",
        "changeLanguage",
        "fly",
    ],
)
def test_actions_other_than_create_join_and_refresh_are_refused_in_a_connect_url(
    action: str,
) -> None:
    with pytest.raises(InvalidAction):
        commands.parse_connect_command(read_query({"action": [action]}))


@pytest.mark.parametrize("fields", [JOIN, REFRESH_SPEAKER, REFRESH_LISTENER])
def test_a_connect_url_and_a_frame_give_the_same_command(fields: dict[str, str]) -> None:
    query = {name: [value] for name, value in fields.items()}
    assert commands.parse_connect_command(read_query(query)) == parse(json.dumps(fields))


@pytest.mark.parametrize(
    ("refusal", "message"),
    [
        (
            SessionFull("The session is full."),
            {"code": "SESSION_FULL", "message": "The session is full.", "temporary": True},
        ),
        (
            ServiceUnavailable("Busy.", retry_after_seconds=2),
            {
                "code": "SERVICE_UNAVAILABLE",
                "message": "Busy.",
                "temporary": True,
                "retryAfter": 2,
            },
        ),
        (
            InvalidParameters("Bad.", field="sessionId"),
            {
                "code": "INVALID_PARAMETERS",
                "message": "Bad.",
                "temporary": False,
                "details": {"field": "sessionId"},
            },
        ),
    ],
)
def test_a_refusal_becomes_an_error_message(refusal: ServiceError, message: Any) -> None:
    assert messages.error(refusal) == {"type": "error", **message}
