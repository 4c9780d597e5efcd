"""The commands with which an operator lists and ends sessions."""

import io
import json
import os
import re
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from chalicelib.models import Participant, QualityTier, Role, Session
from chalicelib.store.stores import Stores, build_stores
from chalicelib.table_names import TableNames
from local_gateway import aws
from operations import running_emulation
from operations.running_emulation import RunningEmulation
from tests import emulator
from tests.stories.target import Client, Target

COMMAND: Final = """
import sys
from pathlib import Path
from operations import operate, running_emulation
running_emulation.FILE = Path(sys.argv.pop(1))
sys.exit(operate.main())
"""
"""Runs the command with the test's own file for the running emulation."""

COMMAND_ON_AWS: Final = """
import json, sys
from operations import operate, stage_environment
outputs = json.loads(sys.argv.pop(1))
stage_environment.read_outputs = lambda stack: outputs
sys.exit(operate.main())
"""
"""Runs the command with given outputs of a stage, without Terraform."""

HEADING: Final = "## List and end sessions"

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def operate(target: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    """Return a function that runs the command, in an environment with another account's profile."""
    running = tmp_path / "emulate.json"
    monkeypatch.setattr(running_emulation, "FILE", running)
    api_id = target.url.split("/")[-2]
    port = target.url.rpartition(":")[2].partition("/")[0]
    where = ["--stage", "local"] if target.is_emulator else ["--port", port]
    environment = {**os.environ, "AWS_PROFILE": "of-another-account", "AWS_REGION": "eu-north-1"}

    def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-c", COMMAND, str(running), *arguments, *where],
            env={name: it for name, it in environment.items() if name != "AWS_ENDPOINT_URL"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
        )

    with running_emulation.claim() as claimed:
        pipeline = "broadcast-sessions-local-interpreter"
        outputs = {"api_id": api_id, "pipeline_function": pipeline}
        running_emulation.announce(claimed, RunningEmulation(target.environment, outputs))
        yield run


def listed(operate: Run) -> dict[str, dict[str, Any]]:
    done = operate("sessions", "--json")
    assert done.returncode == 0, done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines()]
    return {each["sessionId"]: each for each in found}


def test_an_operator_ends_a_session_and_notifies_every_participant(
    open_client: Callable[..., Client], token: str, operate: Run
) -> None:
    speaker, listener = open_client(token=token), open_client()
    created = speaker.ask(action="createSession", sourceLanguage="en", qualityTier="premium")
    session_id = created["sessionId"]
    joined = listener.ask(action="joinSession", sessionId=session_id, targetLanguage="es")
    assert joined["type"] == "sessionJoined"

    refused = operate("end", session_id)
    assert (refused.returncode, f"--confirm {session_id}" in refused.stderr) == (1, True)
    found = listed(operate)[session_id]
    assert found == {
        "sessionId": session_id,
        "status": "active",
        "listenerCount": 1,
        "languages": {"es": 1},
        "createdAt": found["createdAt"],
        "expiresAt": created["expiresAt"],
        "ageSeconds": found["ageSeconds"],
        "sourceLanguage": "en",
        "qualityTier": "premium",
    }
    assert re.search(rf"{session_id} +active +1 +es 1 ", operate("sessions").stdout)

    done = operate("end", session_id.replace("-", " ").title(), "--confirm", session_id)
    assert done.stderr == ""
    assert done.stdout == f"{session_id} has ended: 2 notified, 0 gone, 0 failed\n"
    for client in (speaker, listener):
        heard = client.receive()
        assert (heard["type"], heard["reason"]) == ("sessionEnded", "expired")
        assert heard["sessionId"] == session_id
        assert client.has_no_more_messages()
    assert session_id not in listed(operate)

    again = operate("end", session_id, "--confirm", session_id)
    assert again.returncode == 1
    assert again.stderr == f"operate: there is no open session {session_id}\n"


@dataclass(frozen=True)
class Account:
    """An account that enforces IAM, with a stage's tables, its API, and an IAM user."""

    endpoint_url: str
    outputs: dict[str, Any]
    keys: dict[str, str]

    def allow(self, policy: dict[str, Any]) -> None:
        aws.client("iam", self.endpoint_url).put_user_policy(
            UserName="operator", PolicyName="sessions", PolicyDocument=json.dumps(policy)
        )

    def policy(self) -> dict[str, Any]:
        """Return the documented policy of an operator for this stage."""
        text = Path("docs/how-to/operate.md").read_text()
        section = text.partition(HEADING)[2].partition("\n## ")[0]
        (policy,) = re.findall(r"```json\n(.*?)```", section, re.DOTALL)
        names = {
            "API_ID": self.outputs["api_id"],
            "REGION": aws.REGION,
            "ACCOUNT": "000000000000",
            "STAGE": "dev",
        }
        for name, value in names.items():
            policy = re.sub(rf"\b{name}\b", value, policy)
        document: dict[str, Any] = json.loads(policy)
        return document

    def put_session(self, session_id: str) -> None:
        """Stores a session whose speaker and listener are gone without a $disconnect."""
        with emulator.dynamodb(self.endpoint_url) as dynamodb:
            stores = build_stores(dynamodb, self._table_names(), 600, time.time)
            self._put_session(stores, session_id)

    def _table_names(self) -> TableNames:
        names = self.outputs["table_names"]
        return TableNames(*(names[each] for each in ("sessions", "connections", "captions")))

    def _put_session(self, stores: Stores, session_id: str) -> None:
        now = int(time.time())
        speaker_id, listener_id = f"{session_id}-s=", f"{session_id}-l="
        stores.sessions.create(
            Session(
                session_id=session_id,
                speaker_user_id="user",
                speaker_connection_id=speaker_id,
                source_language="en",
                quality_tier=QualityTier.STANDARD,
                invite_code="code",
                created_at_ms=now * 1000,
                expires_at_seconds=now + 7200,
                listener_count=1,
            ),
            Participant(speaker_id, session_id, Role.SPEAKER, now * 1000),
        )
        stores.participants.put(
            Participant(listener_id, session_id, Role.LISTENER, now * 1000, "es")
        )

    def operate(self, *arguments: str, **keys: str) -> "subprocess.CompletedProcess[str]":
        others = ("AWS_PROFILE", "AWS_SESSION_TOKEN")
        environment = {name: it for name, it in os.environ.items() if name not in others}
        return subprocess.run(
            [sys.executable, "-c", COMMAND_ON_AWS, json.dumps(self.outputs), *arguments],
            env={**environment, "AWS_ENDPOINT_URL": self.endpoint_url, **(keys or self.keys)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
        )

    def end(self, session_id: str) -> "subprocess.CompletedProcess[str]":
        return self.operate("end", session_id, "--confirm", session_id, "--stage", "dev")


@contextmanager
def enforcing_account() -> Iterator[Account]:
    root = {"AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local", "AWS_SESSION_TOKEN": ""}
    with aws.ministack(AUTH="true", **root) as endpoint_url:
        schema = json.loads(Path("chalicelib/tables.json").read_text())
        aws.create_tables(endpoint_url, schema, "broadcast-sessions-dev")
        gateway = aws.client("apigatewayv2", endpoint_url)
        api = gateway.create_api(
            Name="dev", ProtocolType="WEBSOCKET", RouteSelectionExpression="$request.body.action"
        )
        gateway.create_stage(ApiId=api["ApiId"], StageName="dev")
        iam = aws.client("iam", endpoint_url)
        iam.create_user(UserName="operator")
        key = iam.create_access_key(UserName="operator")["AccessKey"]
        outputs = {
            "alarm_topic_arn": f"arn:aws:sns:{aws.REGION}:000000000000:alarms",
            "api_id": api["ApiId"],
            "pipeline_function": "broadcast-sessions-dev-interpreter",
            "table_names": {name: f"broadcast-sessions-dev-{name}" for name in schema},
        }
        create_function(endpoint_url, outputs["pipeline_function"])
        keys = {
            "AWS_ACCESS_KEY_ID": key["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"],
        }
        yield Account(endpoint_url, outputs, keys)


def create_function(endpoint_url: str, name: str) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as file:
        file.writestr("app.py", "def handle(event, context):\n    pass\n")
    trust = {"Service": "lambda.amazonaws.com"}
    statement = {"Effect": "Allow", "Principal": trust, "Action": "sts:AssumeRole"}
    role = aws.client("iam", endpoint_url).create_role(
        RoleName=name, AssumeRolePolicyDocument=json.dumps({"Statement": [statement]})
    )
    aws.client("lambda", endpoint_url).create_function(
        FunctionName=name,
        Runtime="python3.11",
        Role=role["Role"]["Arn"],
        Handler="app.handle",
        Code={"ZipFile": packed.getvalue()},
    )


@pytest.fixture(scope="module")
def account() -> Iterator[Account]:
    with enforcing_account() as account:
        yield account


def test_an_operator_needs_exactly_the_documented_permissions(account: Account) -> None:
    whole = account.policy()
    needed_to_list = {"dynamodb:Scan"}
    # PutItem restores participants that couldn't be notified. Here, all connections are gone. The
    # end doesn't depend on the pipeline.
    not_needed_to_end = {"dynamodb:Scan", "dynamodb:PutItem", "lambda:InvokeFunction"}
    account.put_session("calm-fox-100")
    for number, statement in enumerate(whole["Statement"]):
        actions = statement["Action"]
        for action in [actions] if isinstance(actions, str) else actions:
            short = json.loads(json.dumps(whole))
            kept = [it for it in actions if it != action] if isinstance(actions, list) else []
            short["Statement"][number]["Action"] = kept or ["sts:GetCallerIdentity"]
            account.allow(short)
            session_id = f"calm-fox-{200 + len(action) * 10 + number}"
            account.put_session(session_id)
            listing = account.operate("sessions", "--stage", "dev")
            lacks = f"operate: access denied: these credentials lack {action}; see "
            assert (lacks in listing.stderr) == (action in needed_to_list), (action, listing.stderr)
            assert listing.returncode == (action in needed_to_list)
            if action not in not_needed_to_end:
                ending = account.end(session_id)
                assert lacks in ending.stderr, (action, ending.stderr)
                assert ending.stderr.count("\n") == 1

    account.allow(whole)
    assert "calm-fox-100  active" in account.operate("sessions", "--stage", "dev").stdout
    done = account.end("calm-fox-100")
    assert done.stderr == ""
    assert done.stdout == "calm-fox-100 has ended: 0 notified, 2 gone, 0 failed\n"


def test_invalid_credentials_are_reported_in_one_line(account: Account) -> None:
    failed = account.operate(
        "sessions",
        "--stage",
        "dev",
        AWS_ACCESS_KEY_ID="AKIA0000000000000000",
        AWS_SECRET_ACCESS_KEY="x",
    )
    assert failed.returncode == 1
    assert "operate: the AWS credentials are invalid or have expired" in failed.stderr
    assert failed.stderr.count("\n") == 1
