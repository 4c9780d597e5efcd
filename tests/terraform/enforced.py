"""A stack on an emulator that enforces IAM: what its functions call, and what they may call.

With AUTH=true ministack runs each function as its role, and refuses what the role does not allow.
"""

import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from local_gateway import aws
from local_gateway.events import Api, scheduled_event
from operations.emulate import Emulation, emulate, whereabouts
from tests.stories.target import GRACE_SECONDS, HIGH_LIMITS, Target

Call = tuple[str, str, str]
"""A function's name, an action, and the ARN of a resource; in a policy it may hold a *."""

PREFIX: Final = "broadcast-sessions-local-"
FUNCTIONS: Final = {
    "authorizer": "authorizer",
    "connect": "websocket_connect",
    "message": "websocket_message",
    "disconnect": "websocket_disconnect",
    "outcome": "outcome",
    "publish": "publish",
    "interpreter": "interpreter",
    "sweep": "sweep",
}
"""Chalice's names of them, by those in app.py, which are their roles' too."""

SEATS: Final = 8
"""A low limit, because ministack starts a process for each invocation that runs at once."""

SETTINGS: Final = {
    **HIGH_LIMITS,
    "LOG_LEVEL": "WARNING",
    "MAX_LISTENERS_PER_SESSION": str(SEATS),
    "SPEAKER_GRACE_SECONDS": str(GRACE_SECONDS),
    # ministack tells every close as 1005, so a lost connection has the grace of one that is closed.
    "SPEAKER_CLOSE_GRACE_SECONDS": str(GRACE_SECONDS),
}

RECORDER: Final = Path(__file__).parent / "recorder"

SCHEDULED: Final = scheduled_event(Api("local"), f"{PREFIX}sweep-event", due_at=0)


@dataclass(frozen=True)
class Enforced:
    """A stack on an emulator that enforces IAM, records calls, and throttles if it is told."""

    stack: Emulation
    recorded: Path
    throttled: Path

    @property
    def target(self) -> Target:
        environment = whereabouts(self.stack)
        return Target(self.stack.url, environment, seats=SEATS, is_emulator=True)

    def arn(self, resource: str) -> str:
        """Turn a table's name in the schema, or what a permission is called by, into its ARN."""
        account = "us-east-1:000000000000"
        api = f"arn:aws:execute-api:{account}:{self.stack.outputs['api_id']}/local"
        return {
            "outcome": f"arn:aws:lambda:{account}:function:{PREFIX}outcome",
            "pipeline": f"arn:aws:lambda:{account}:function:{PREFIX}interpreter",
            "index": f"{self.table('connections')}/index/sessionId-targetLanguage-index",
            "post": f"{api}/POST/@connections/*",
            "close": f"{api}/DELETE/@connections/*",
        }.get(resource) or self.table(resource)

    def table(self, name: str) -> str:
        table_name = self.stack.outputs["table_names"][name]
        return f"arn:aws:dynamodb:us-east-1:000000000000:table/{table_name}"

    def calls(self) -> set[Call]:
        """Return what the functions have called so far."""
        lines = [json.loads(line) for line in self.recorded.read_text().splitlines()]
        return {(role.removeprefix(PREFIX), action, arn) for role, action, arn in lines}

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
        held = self.client("iam").get_role_policy(**_policy_name(function))
        document: dict[str, Any] = held["PolicyDocument"]
        return document

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
        try:
            yield
        finally:
            self.put_policy(function, whole)

    def put_policy(self, function: str, document: dict[str, Any]) -> None:
        name = _policy_name(function)
        self.client("iam").put_role_policy(**name, PolicyDocument=json.dumps(document))

    @contextmanager
    def throttling(self, function: str, action: str, resource: str) -> Iterator[None]:
        """Have DynamoDB throttle one call of one function."""
        self.throttled.write_text(json.dumps([[PREFIX + function, action, self.arn(resource)]]))
        try:
            yield
        finally:
            self.throttled.unlink()

    def invoke(self, function: str, event: Mapping[str, Any]) -> Any:
        """Run a function as API Gateway or a schedule would, and return what it returns."""
        answer = self.client("lambda").invoke(
            FunctionName=PREFIX + FUNCTIONS[function], Payload=json.dumps(event)
        )
        said = json.load(answer["Payload"])
        assert "FunctionError" not in answer, said
        return said

    def context(self, connection_id: str, seconds_ago: float = 0, **more: Any) -> dict[str, Any]:
        """Return what API Gateway says of a connection that was opened so long ago."""
        return {
            "apiId": self.stack.outputs["api_id"],
            "stage": self.stack.stage,
            "domainName": "the-api.example.com",
            "connectionId": connection_id,
            "connectedAt": int((time.time() - seconds_ago) * 1000),
            "identity": {"sourceIp": "127.0.0.1"},
            "requestId": "a-request",
            **more,
        }

    @contextmanager
    def handler(self, function: str, handler: str) -> Iterator[None]:
        """Have another handler run, as that function."""
        self._set_handler(function, handler)
        try:
            yield
        finally:
            self._set_handler(function, f"app.{function}")

    def _set_handler(self, function: str, handler: str) -> None:
        self.client("lambda").update_function_configuration(
            FunctionName=PREFIX + FUNCTIONS[function], Handler=handler
        )

    @property
    def callback_url(self) -> str:
        """Return where the @connections are."""
        return f"http{self.stack.url.removeprefix('ws')}"

    def client(self, service: str) -> Any:
        return aws.client(service, self.stack.endpoint_url)


def _policy_name(function: str) -> dict[str, str]:
    return {"RoleName": PREFIX + function, "PolicyName": "what-it-does"}


def _listed(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


@contextmanager
def enforced_stack(scratch: Path) -> Iterator[Enforced]:
    """Apply the stack to an account that enforces IAM; no sweep runs in it but those it is told.

    Raises: TerraformError.
    """
    recorded, throttled = scratch / "recorded", scratch / "throttled"
    recorded.touch()
    python_path = filter(None, (str(RECORDER), os.environ.get("PYTHONPATH")))
    emulator_settings = {
        "AUTH": "true",
        # Whoever has these is root: Terraform and the tests.
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
        "AWS_SESSION_TOKEN": "",
        "PYTHONPATH": os.pathsep.join(python_path),
        "RECORDED_CALLS": str(recorded),
        "THROTTLED_CALLS": str(throttled),
    }
    with ExitStack() as stack:
        with pytest.MonkeyPatch.context() as patch:
            for name, value in emulator_settings.items():
                patch.setenv(name, value)
            emulation = stack.enter_context(emulate(**SETTINGS))
        enforced = Enforced(emulation, recorded, throttled)
        enforced.client("events").disable_rule(Name=f"{PREFIX}sweep-event")
        yield enforced
