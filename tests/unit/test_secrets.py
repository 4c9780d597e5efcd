"""Log lines without secrets, for any input or failure of a handler.

Each input contains marked secrets, and each handler runs through its successes and failures.
"""

import dataclasses
import io
import json
import logging
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout, suppress
from dataclasses import replace
from functools import partial
from itertools import cycle
from typing import Any

import pytest

from chalicelib import publish_requests, telemetry
from chalicelib.assembly import UseCases, build_dispatcher
from chalicelib.auth import Authorizer, KeySet, TokenVerifier
from chalicelib.aws.connections import PostFailed
from chalicelib.aws.dynamodb import DynamoDB, Refused
from chalicelib.aws.functions import Functions
from chalicelib.aws.retries import Retries
from chalicelib.aws.wire import Unreachable
from chalicelib.deliveries import Deliveries
from chalicelib.dispatch import Dispatcher
from chalicelib.errors import InternalError, ServiceError
from chalicelib.outcomes import Delivery, Outcomes
from chalicelib.rate_limits import RateLimits
from chalicelib.refusals import Refusals
from chalicelib.store.stores import Stores, build_stores
from chalicelib.sweep import Sweep
from tests.unit.fakes import TABLES, Clock, FakeConnections, FakeOutcomes, PlayedTransport, event
from tests.unit.test_auth import ISSUER, KEY, METHOD_ARN, OTHER_KEY, key_set, token

MARK = "marked"
USER = "marked-user"
ADDRESS = "marked-203.0.113.9"
EMAIL = "marked@example.com"
CODE = "marked-invite-code"

COMMANDS: dict[str, dict[str, Any]] = {
    "createSession": {"sourceLanguage": "en"},
    "joinSession": {"sessionId": "golden-eagle-100", "targetLanguage": "es"},
    "joinSession, invited": {
        "sessionId": "golden-eagle-100",
        "targetLanguage": "es",
        "inviteCode": CODE,
    },
    "heartbeat": {},
    "changeLanguage": {"targetLanguage": "fr"},
    "getSessionStatus": {},
    "pauseSession": {},
    "resumeSession": {},
    "sendCaption": {"text": "marked phrase", "captionId": "marked-caption"},
    "sendCaption, refused": {"text": "marked\n", "captionId": "marked-caption"},
    "getCaptions": {"afterSeq": 0},
    "marked-action": {},
    "refreshConnection, listener": {
        "sessionId": "golden-eagle-100",
        "role": "listener",
        "targetLanguage": "es",
        "connectionId": "marked-listener=",
    },
    "refreshConnection, speaker": {"sessionId": "golden-eagle-100", "role": "speaker"},
    "endSession": {},
}


class Raising:
    """A dependency whose calls raise its errors in turn, with secrets in their messages."""

    def __init__(self, *errors: Exception) -> None:
        self._errors = cycle(errors)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)

        def fail(*_: object, **__: object) -> Any:
            # A repeated error would keep the frames of all earlier calls.
            raise next(self._errors).with_traceback(None)

        return fail


ERRORS = [
    KeyError("marked-connection="),
    ValueError(EMAIL),
    Unreachable("https://api/@connections/marked=", was_sent=True),
    Refused("ValidationException", "marked="),
    PostFailed(500),
]


@pytest.fixture
def out() -> Iterator[io.StringIO]:
    """Collect all output, and check it when the test ends."""
    written = io.StringIO()
    with redirect_stdout(written):
        telemetry.configure("DEBUG", "dev", b"key")
        telemetry.configure_libraries()
    logging.getLogger().setLevel(logging.DEBUG)
    yield written
    lines = written.getvalue().splitlines()
    assert lines
    assert not [line for line in lines if MARK in line]
    assert not [line for line in lines if "203.0.113" in line or "eyJ" in line]
    for line in lines:
        fields = json.loads(line)
        assert "_aws" in fields or fields.keys() >= {"time", "level", "message"}


@pytest.fixture
def marked_use_cases(build: Callable[..., UseCases]) -> UseCases:
    return build(new_invite_code=lambda: CODE)


@pytest.fixture
def marked_dispatcher(
    marked_use_cases: UseCases, rate_limits: RateLimits, outcomes: FakeOutcomes, clock: Clock
) -> Dispatcher:
    return _dispatcher(marked_use_cases, rate_limits, outcomes, clock)


def _dispatcher(use_cases: UseCases, rate_limits: Any, outcomes: Any, clock: Clock) -> Dispatcher:
    return build_dispatcher(use_cases, rate_limits, outcomes, "https://marked-api", clock)


def _broken_stores(broken: Any) -> Stores:
    return Stores(**{each.name: broken for each in dataclasses.fields(Stores)})


def _event(name: str, user_id: str | None = None, **rest: Any) -> dict[str, Any]:
    made = event(f"marked-{name}=", user_id, **rest)
    made["requestContext"]["identity"] = {"sourceIp": ADDRESS, "userAgent": "marked-agent"}
    made["headers"] = {"Authorization": "Bearer marked-token", "X-Marked": EMAIL}
    return made


def _connect(name: str, user_id: str | None = None, **query: str) -> dict[str, Any]:
    query = {**query, "token": f"marked-{token()}", "marked-name": EMAIL, "requestId": "marked-id"}
    multi = {key: [value] for key, value in query.items()}
    return _event(name, user_id, multiValueQueryStringParameters=multi)


def _frame(name: str, user_id: str | None = None, **fields: Any) -> dict[str, Any]:
    fields = {**fields, "marked-name": EMAIL, "requestId": "marked-id"}
    return _event(name, user_id, body=json.dumps(fields))


def _commands() -> Iterator[tuple[str | None, dict[str, Any]]]:
    for name, fields in COMMANDS.items():
        for user_id in (USER, None):
            yield user_id, {"action": name.partition(",")[0], **fields}


def _calling(handler: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return a handler that answers an unexpected error as API Gateway does."""

    def call(event: Any) -> Any:
        try:
            return handler(event)
        except InternalError:
            return {"statusCode": 502, "body": '{"type": "failed"}'}

    return call


def _drive(dispatcher: Dispatcher) -> set[str]:
    """Send each command by URL and by frame, with and without a token.

    Return the answers' codes.
    """
    answered = set()
    connect, message, disconnect = map(
        _calling, (dispatcher.connect, dispatcher.message, dispatcher.disconnect)
    )
    for number, (user_id, fields) in enumerate(_commands()):
        by_url = connect(_connect(f"url-{number}", user_id, **fields))
        answered.add(str(by_url["statusCode"]))
        for name in ("speaker", "listener", f"new-{number}"):
            reply = json.loads(message(_frame(name, user_id, **fields))["body"])
            answered.add(reply.get("code", reply["type"]))
    for name in [f"new-{number}" for number in range(2 * len(COMMANDS))]:
        reply = json.loads(message(_frame(name, USER, action="endSession"))["body"])
        answered.add(reply.get("code", reply["type"]))
    for body in ("marked", '{"marked', '["marked"]', "x" * 40_000 + MARK, None):
        message(_event("listener", body=body))
    for value in ({"marked": 1}, ["marked"], "marked" * 2000, 17, None, "Marked-Eagle-100"):
        fields = {"action": "sendCaption", "text": value, "captionId": value, "marked": 1}
        message(_event("speaker", USER, body=json.dumps(fields)))
        message(_event("listener", body=json.dumps({"action": "getCaptions", "afterSeq": value})))
        for name in ("action", "sessionId", "targetLanguage", "requestId", "role", "inviteCode"):
            fields = {"action": "joinSession", **COMMANDS["joinSession, invited"], name: value}
            message(_event("other", body=json.dumps(fields)))
    for code in (1000, 1001, 1006, None):
        for name in ("speaker", "listener", "new-1", "unknown"):
            context = {"disconnectStatusCode": code, "disconnectReason": "marked-reason"}
            disconnect(_event(name, USER, context=context))
    return answered


def _publish(use_cases: UseCases) -> set[str]:
    """Publish captions with secrets in every field, and return the codes of the answers."""
    caption: dict[str, Any] = {"captionId": "marked-caption", "text": "marked", "startedAt": 0}
    audio = {"url": "https://marked.example/marked.mp3"}
    request = {"sessionId": "golden-eagle-100", "language": "es", "captions": [caption]}
    requests: list[Any] = [
        request,
        {**request, "captions": [{**caption, "captionId": "marked-2", "audio": audio}]},
        {**request, "sessionId": "marked-eagle-999"},
        {**request, "marked": MARK, "language": MARK},
        {**request, "captions": [{**caption, "text": f"{MARK}\n"}]},
        {**request, "captions": [{**caption, "audio": {"url": "http://marked"}}]},
        {**request, "captions": [{**caption, "startedAt": MARK}]},
        {**request, "captions": MARK},
        MARK,
    ]
    answers = [publish_requests.answer(use_cases.publishing, each) for each in requests]
    return {answer.get("error", {}).get("code", "OK") for answer in answers}


def test_no_line_of_a_publication_contains_its_text(
    marked_use_cases: UseCases, marked_dispatcher: Dispatcher, out: io.StringIO
) -> None:
    marked_dispatcher.message(_frame("speaker", USER, action="createSession", sourceLanguage="en"))
    marked_dispatcher.message(
        _frame("listener", None, action="joinSession", **COMMANDS["joinSession"])
    )
    assert _publish(marked_use_cases) == {
        *("OK", "INVALID_PARAMETERS", "SESSION_NOT_FOUND", "UNSUPPORTED_LANGUAGE"),
    }
    assert '"caption published"' in out.getvalue()


def test_no_line_of_a_client_event_contains_a_secret(
    marked_dispatcher: Dispatcher, clock: Clock, out: io.StringIO
) -> None:
    speak = {"action": "createSession", "sourceLanguage": "en"}
    join = {"action": "joinSession", **COMMANDS["joinSession"]}
    marked_dispatcher.message(_frame("speaker", USER, **speak))
    marked_dispatcher.message(_frame("listener", None, **join))
    answered = _drive(marked_dispatcher) | _drive(marked_dispatcher)
    clock.now += 120
    answered |= _drive(marked_dispatcher)
    assert answered >= {
        *("200", "sessionCreated", "sessionJoined", "connectionRefreshComplete", "heartbeatAck"),
        *("sessionPaused", "sessionResumed", "sessionEnded", "languageChanged", "sessionStatus"),
        *("captionAccepted", "captions", "INVALID_PARAMETERS"),
        *("CONFLICT", "FORBIDDEN", "INVALID_ACTION", "RATE_LIMIT_EXCEEDED", "SESSION_NOT_FOUND"),
        *("UNAUTHORIZED", "429"),
    }


@pytest.mark.parametrize(
    ("failing", "errors"),
    [
        *(pytest.param("use cases", [error], id=type(error).__name__) for error in ERRORS),
        *((failing, ERRORS) for failing in ("stores", "rate limits", "phones", "outcomes")),
    ],
)
def test_no_line_of_a_failure_contains_a_secret(
    stores: Stores,
    phones: FakeConnections,
    build: Callable[..., UseCases],
    marked_use_cases: UseCases,
    rate_limits: RateLimits,
    outcomes: FakeOutcomes,
    clock: Clock,
    out: io.StringIO,
    failing: str,
    errors: list[Exception],
) -> None:
    working = _dispatcher(marked_use_cases, rate_limits, outcomes, clock)
    working.message(_frame("speaker", USER, action="createSession", sourceLanguage="en"))
    working.message(_frame("listener", None, action="joinSession", **COMMANDS["joinSession"]))
    broken: Any = Raising(*errors)
    build_marked = partial(build, new_invite_code=lambda: CODE)
    use_cases = marked_use_cases
    if failing == "use cases":
        use_cases = replace(
            use_cases,
            sessions=broken,
            joining=broken,
            refresh=broken,
            presence=broken,
            refusals=Refusals(replace(stores, refused_commands=broken), rate_limits, 20),
            lifecycle=broken,
            captions=broken,
            publishing=broken,
            deliveries=Deliveries(stores, broken, phones, clock, clock.sleep),
        )
    elif failing == "stores":
        use_cases = build_marked(stores=_broken_stores(broken))
    elif failing == "rate limits":
        rate_limits = broken
        use_cases = build_marked(rate_limits=broken)
    elif failing == "phones":
        use_cases = build_marked(connections=broken)
    else:
        functions = Functions(broken)
        outcomes = Outcomes(functions, "marked-function")  # type: ignore[assignment]
    _drive(_dispatcher(use_cases, rate_limits, outcomes, clock))
    _publish(use_cases)
    message = {"type": "marked", "sessionId": "marked", "requestId": "marked"}
    for delay_ms in (0, 50):
        with suppress(Exception):
            use_cases.deliveries.deliver(
                Delivery("marked-listener=", "https://marked-api", [message], delay_ms)
            )


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_no_line_of_a_sweep_contains_a_secret(
    sweep_of: Callable[..., Sweep],
    sweep: Sweep,
    marked_dispatcher: Dispatcher,
    clock: Clock,
    out: io.StringIO,
    error: Exception,
) -> None:
    marked_dispatcher.message(_frame("speaker", USER, action="createSession", sourceLanguage="en"))
    marked_dispatcher.message(
        _frame("listener", None, action="joinSession", **COMMANDS["joinSession"])
    )
    clock.now += 60
    marked_dispatcher.message(_frame("speaker", USER, action="heartbeat"))
    clock.now += 60
    assert sweep.run().removed == 1
    clock.now += 60
    broken: Any = Raising(error)
    sweep_of(connections=broken).run()
    with suppress(ServiceError):
        sweep_of(stores=_broken_stores(broken)).run()
    clock.now += 61
    assert sweep.run().is_complete


def _authorizer(key_set_of: Callable[[], Any], count_refusal: Callable[[str], Any]) -> Authorizer:
    keys = KeySet(key_set_of, Clock())
    return Authorizer(TokenVerifier(keys, ISSUER, "client-1"), count_refusal)


def _authorizing(*tokens: str) -> dict[str, Any]:
    made = _event("authorized", USER)
    made["methodArn"] = METHOD_ARN
    made["multiValueQueryStringParameters"] = {"token": list(tokens), "marked-name": [EMAIL]}
    return made


def _fail(*_: object) -> Any:
    raise OSError("marked-key-set")


@pytest.mark.parametrize(
    "tokens",
    [
        [],
        ["marked"],
        ["marked.marked.marked"],
        ["marked" * 3000],
        [token(sub=USER, email=EMAIL)],
        [token(sub=USER, email=EMAIL, exp=1)],
        [token(sub=USER, email=EMAIL, key=OTHER_KEY)],
        [token(sub=USER, key_id="marked-key")],
        [token(sub=USER, key_id=None)],
        [token(sub=USER, aud="marked-client")],
        [token(sub=USER, iss="https://marked")],
        [token(sub=USER, token_use="marked")],
        [token(sub=USER), "marked"],
    ],
)
def test_no_line_of_the_authorizer_contains_a_secret(out: io.StringIO, tokens: list[str]) -> None:
    for authorizer in (
        _authorizer(lambda: key_set(**{"key-1": KEY}), lambda _: None),
        _authorizer(_fail, lambda _: None),
        _authorizer(lambda: key_set(**{"key-1": KEY}), _fail),
    ):
        with suppress(ServiceError):
            authorizer.authorize(_authorizing(*tokens))


def test_no_line_of_a_library_contains_a_secret(out: io.StringIO) -> None:
    logging.getLogger("botocore").warning("marked %s", "marked", extra={"marked": EMAIL})
    try:
        raise ValueError("marked")
    except ValueError:
        logging.getLogger("urllib3").exception("marked")


def test_an_unavailable_store_is_an_expected_error(
    rate_limits: RateLimits,
    outcomes: FakeOutcomes,
    build: Callable[..., UseCases],
    clock: Clock,
    out: Any,
) -> None:
    down = PlayedTransport(Unreachable("https://marked", was_sent=False))
    dynamodb = DynamoDB(down, Retries("store"))
    use_cases = build(stores=build_stores(dynamodb, TABLES, 600, clock))
    _drive(_dispatcher(use_cases, rate_limits, outcomes, clock))
    levels = {json.loads(line).get("level") for line in out.getvalue().splitlines()}
    assert levels >= {"INFO", "WARNING"}
    assert "ERROR" not in levels
