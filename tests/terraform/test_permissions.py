"""Each function may do what it does, and no more: the stories, told with IAM enforced.

With AUTH=true ministack runs each function as its role, and refuses what the role does not allow.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus

from devserver import aws
from scripts.emulate import Emulation, apply, emulator_environment, prepare, whereabouts
from tests.stories.conftest import nothing_left, open_client  # noqa: F401
from tests.stories.target import Client, Target, refused_with, until

# The stories that are told here, against the target below.
from tests.stories.test_a_session import (  # noqa: F401
    count,
    create,
    test_a_connection_serves_one_session_at_most,
    test_a_listener_cannot_give_a_speakers_command,
    test_a_speaker_and_a_listener_meet_by_connect_urls,
    test_a_speaker_and_a_listener_meet_by_frames,
    test_a_speaker_who_vanishes_ends_the_session,
    test_an_access_token_in_a_header_makes_a_speaker_too,
    test_listeners_who_leave_are_counted_out,
    test_nothing_of_one_session_reaches_another,
    test_one_speaker_may_hold_two_sessions,
)
from tests.stories.test_bad_input import (  # noqa: F401
    test_a_bad_connect_url_refuses_the_handshake,
    test_a_wrong_invite_code_is_forbidden,
)
from tests.terraform.requirements import require_provider

pytestmark = pytest.mark.timeout(300)  # Applying the stack takes half a minute.

Call = tuple[str, str, str]
"""A function's name, an action, and the ARN of a resource; in a policy it may hold a *."""

FUNCTIONS = ("authorizer", "connect", "message", "disconnect", "outcome")

MADE_BY_LAMBDA = {"logs:CreateLogStream", "logs:PutLogEvents"}
"""What AWS's Lambda does as the function's role. ministack 1.5.33 keeps logs without it."""

Open = Callable[..., Client]


@dataclass(frozen=True)
class Enforced:
    """A stack on an emulator that enforces IAM, records calls, and throttles if it is told."""

    stack: Emulation
    recorded: Path
    throttled: Path

    def arn(self, resource: str) -> str:
        """Turn a table's name in the schema, or what a permission is called by, into its ARN."""
        account = "us-east-1:000000000000"
        return {
            "outcome": f"arn:aws:lambda:{account}:function:broadcast-sessions-local-outcome",
            "index": f"{self.table('connections')}/index/sessionId-targetLanguage-index",
            "post": f"arn:aws:execute-api:{account}:{self.stack.outputs['api_id']}"
            "/local/POST/@connections/*",
        }.get(resource) or self.table(resource)

    def table(self, name: str) -> str:
        table_name = self.stack.outputs["table_names"][name]
        return f"arn:aws:dynamodb:us-east-1:000000000000:table/{table_name}"

    def calls(self) -> set[Call]:
        """Return what the functions have called so far."""
        lines = [json.loads(line) for line in self.recorded.read_text().splitlines()]
        return {(_function(role), action, resource) for role, action, resource in lines}

    def allowed(self) -> set[Call]:
        """Return what the roles in the account allow."""
        return {
            (function, action, resource)
            for function in FUNCTIONS
            for statement in self.policy(function)["Statement"]
            for action in _listed(statement["Action"])
            for resource in _listed(statement["Resource"])
        }

    def policy(self, function: str) -> dict[str, Any]:
        policy: dict[str, Any] = self.iam().get_role_policy(**_policy_name(function))
        return policy["PolicyDocument"]

    @contextmanager
    def without(self, function: str, action: str, resource: str) -> Iterator[None]:
        """Take one permission away from a function's role, and give it back."""
        whole = self.policy(function)
        short = json.loads(json.dumps(whole))
        (statement,) = (
            statement
            for statement in short["Statement"]
            if action in _listed(statement["Action"])
            and self.arn(resource) in _listed(statement["Resource"])
        )
        statement["Action"] = [it for it in _listed(statement["Action"]) if it != action]
        if not statement["Action"]:
            short["Statement"].remove(statement)
        self.put_policy(function, short)
        yield
        self.put_policy(function, whole)

    def put_policy(self, function: str, document: dict[str, Any]) -> None:
        self.iam().put_role_policy(**_policy_name(function), PolicyDocument=json.dumps(document))

    @contextmanager
    def throttling(self, function: str, action: str, resource: str) -> Iterator[None]:
        """Have DynamoDB throttle one call of one function."""
        role = f"broadcast-sessions-local-{function}"
        self.throttled.write_text(json.dumps([[role, action, self.arn(resource)]]))
        yield
        self.throttled.unlink()

    def iam(self) -> Any:
        return aws.client("iam", self.stack.endpoint_url)


def _function(role: str) -> str:
    return role.removeprefix("broadcast-sessions-local-")


def _policy_name(function: str) -> dict[str, str]:
    return {"RoleName": f"broadcast-sessions-local-{function}", "PolicyName": "what-it-does"}


def _listed(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


@pytest.fixture(scope="module")
def enforced(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Enforced]:
    scratch = tmp_path_factory.mktemp("enforced")
    recorded, throttled = scratch / "recorded", scratch / "throttled"
    recorded.touch()
    settings = {
        "AUTH": "true",
        # Whoever has these is root: Terraform and the tests.
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
        "AWS_SESSION_TOKEN": "",
        "PYTHONPATH": str(Path(__file__).parent / "recorder"),
        "RECORDED_CALLS": str(recorded),
        "THROTTLED_CALLS": str(throttled),
    }
    with aws.ministack(**settings) as endpoint_url, require_provider():
        environment = emulator_environment(endpoint_url)
        yield Enforced(apply(prepare(scratch, environment), environment), recorded, throttled)


@pytest.fixture(scope="module")
def target(enforced: Enforced) -> Target:
    return Target(enforced.stack.url, whereabouts(enforced.stack), is_emulator=True)


@pytest.fixture(scope="module")
def token(target: Target) -> str:
    return target.tokens()["IdToken"]


def join(created: dict[str, str]) -> dict[str, str]:
    return {"action": "joinSession", "sessionId": created["sessionId"], "targetLanguage": "es"}


def callback_url(stack: Emulation) -> str:
    return f"http{stack.url.removeprefix('ws')}"


def is_gone(stack: Emulation, connection_id: str) -> bool:
    connections = aws.client("apigatewaymanagementapi", callback_url(stack))
    try:
        connections.get_connection(ConnectionId=connection_id)
    except connections.exceptions.GoneException:
        return True
    return False


def test_a_session_whose_speaker_gets_no_place_is_taken_back(
    enforced: Enforced, target: Target, token: str
) -> None:
    before = target.records("SESSIONS_TABLE")
    with enforced.throttling("connect", "dynamodb:PutItem", "connections"):
        wanted = {"action": "createSession", "sourceLanguage": "en", "token": token}
        assert refused_with(target, **wanted) == target.status(503)
    assert target.records("SESSIONS_TABLE") == before


def test_a_listener_who_gets_no_place_is_counted_out(
    enforced: Enforced,
    target: Target,
    open_client: Open,  # noqa: F811
    token: str,
) -> None:
    speaker, created = create(open_client, token)
    with enforced.throttling("connect", "dynamodb:PutItem", "connections"):
        assert refused_with(target, **join(created)) == target.status(503)
    assert count(speaker) == 0


def test_a_speaker_whose_end_nobody_told_is_found_gone_by_his_outcome(
    enforced: Enforced,
    target: Target,
    open_client: Open,  # noqa: F811
    token: str,
) -> None:
    stack = enforced.stack
    speaker, created = create(open_client, token)
    listener = open_client()
    listener.ask(**join(created))
    outcome = {
        "connectionId": created["connectionId"],
        "endpointUrl": callback_url(stack),
        "message": "{}",
    }
    with enforced.throttling("disconnect", "dynamodb:DeleteItem", "connections"):
        speaker.close()
        until(lambda: is_gone(stack, created["connectionId"]))
        aws.client("lambda", stack.endpoint_url).invoke(
            FunctionName="broadcast-sessions-local-outcome", Payload=json.dumps(outcome)
        )
        assert listener.hear()["reason"] == "speakerLost"


def test_no_role_allows_what_no_story_uses(enforced: Enforced) -> None:
    calls = enforced.calls()
    unused = {
        (function, action, resource)
        for function, action, resource in enforced.allowed()
        if action not in MADE_BY_LAMBDA
        and not any(
            (function, action) == call[:2] and fnmatchcase(call[2], resource) for call in calls
        )
    }
    assert unused == set(), "no story of this file uses these, if all of it has run"


def by_frames(target: Target, open_client: Open, token: str) -> None:  # noqa: F811
    test_a_speaker_and_a_listener_meet_by_frames(target, open_client, token)


def by_connect_urls(_: Target, open_client: Open, token: str) -> None:  # noqa: F811
    test_a_speaker_and_a_listener_meet_by_connect_urls(open_client, token)


def by_vanishing(_: Target, open_client: Open, token: str) -> None:  # noqa: F811
    test_a_speaker_who_vanishes_ends_the_session(open_client, token)


@pytest.mark.parametrize(
    ("function", "action", "resource", "story"),
    [
        ("connect", "dynamodb:PutItem", "sessions", by_connect_urls),
        ("connect", "lambda:InvokeFunction", "outcome", by_connect_urls),
        ("message", "dynamodb:UpdateItem", "connections", by_frames),
        ("message", "dynamodb:Query", "index", by_frames),
        ("disconnect", "execute-api:ManageConnections", "post", by_vanishing),
        ("outcome", "execute-api:ManageConnections", "post", by_connect_urls),
    ],
)
def test_a_role_that_is_short_of_one_permission_makes_a_story_fail(
    enforced: Enforced,
    target: Target,
    open_client: Open,  # noqa: F811
    token: str,
    monkeypatch: pytest.MonkeyPatch,
    function: str,
    action: str,
    resource: str,
    story: Callable[[Target, Open, str], None],
) -> None:
    monkeypatch.setattr("tests.stories.target.WAIT_SECONDS", 3)
    with (
        enforced.without(function, action, resource),
        pytest.raises((AssertionError, InvalidStatus, KeyError, TimeoutError)),
    ):
        story(target, open_client, token)
