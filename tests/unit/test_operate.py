"""The commands that list the sessions of a stage and end one."""

import io
import json
import os
import re
import subprocess
import sys
from argparse import Namespace
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import (
    ClientError,
    NoCredentialsError,
    ProfileNotFound,
)

from chalicelib.assembly import UseCases
from chalicelib.aws.connections import Gone, PostFailed
from chalicelib.aws.dynamodb import Refused
from chalicelib.aws.retries import AttemptFailed, Overloaded
from chalicelib.dispatch import Dispatcher
from chalicelib.environment import SettingError
from chalicelib.errors import ServiceUnavailable, SessionNotFound
from chalicelib.models import EndReason
from chalicelib.store.items import KEPT_AFTER_END_SECONDS
from chalicelib.store.stores import Stores
from chalicelib.store.sweep_cursor import SweepCursor
from chalicelib.sweep import Sweep
from operations import operate, running_emulation, session_end, session_list, stage_environment
from operations.consent import ConsentError
from operations.session_end import EndError, end_session
from operations.session_list import list_sessions
from operations.stage_environment import StageError
from operations.stage_outputs import read_outputs
from operations.terraform_stack import Stack, StackError
from tests.terraform.requirements import require_terraform
from tests.unit.fakes import (
    CREATE,
    Clock,
    FakeConnections,
    frame,
    listener,
    reply,
    scan,
)

OUTPUTS = {
    "alarm_topic_arn": "arn:aws:sns:eu-central-1:123456789012:broadcast-sessions-dev-alarms",
    "api_id": "abc123",
    "table_names": {"sessions": "the-sessions", "connections": "the-connections"},
    "url": "wss://live.example.com",
}

ON_AWS = {
    "OUTCOME_FUNCTION": "none",
    "AWS_DEFAULT_REGION": "eu-central-1",
    "AWS_REGION": "eu-central-1",
    "SESSIONS_TABLE": "the-sessions",
    "CONNECTIONS_TABLE": "the-connections",
    "CONNECTIONS_URL": "https://abc123.execute-api.eu-central-1.amazonaws.com/dev",
}


LISTING_MANY = """
import sys
from types import SimpleNamespace
from operations import operate
operate._enter = lambda options: None
operate.wiring.stores = lambda: SimpleNamespace(sessions=None)
operate.list_sessions = lambda store, now: [{"sessionId": "golden-eagle-427"}] * 10_000
sys.argv = ["operate", "sessions", "--json"]
sys.exit(operate.main())
"""


def agree(_: object) -> None:
    """Agree to whatever is asked."""


def join(dispatcher: Dispatcher, number: int, session_id: str, language: str) -> None:
    caller = listener(number)
    command = {"action": "joinSession", "sessionId": session_id, "targetLanguage": language}
    joined = reply(dispatcher.message(frame(caller.connection_id, **command)))
    assert joined["type"] == "sessionJoined"


def refusal(code: str, operation: str) -> ClientError:
    message = "User: arn:aws:sts::123456789012:assumed-role/ops/anna@example.com is not"
    return ClientError({"Error": {"Code": code, "Message": message}}, operation)


def busy(cause: Exception) -> ServiceUnavailable:
    error = ServiceUnavailable("The service is busy, please try again.", retry_after_seconds=2)
    error.__cause__ = cause
    return error


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@dataclass
class ShutConnections(FakeConnections):
    """Refuses every post with a status; 0 stands for no answer."""

    status: int = 403

    def post(self, connection_id: str, text: str) -> None:
        raise PostFailed(self.status)


@dataclass
class UnreliableConnections(FakeConnections):
    """Can't deliver posts to some connections."""

    unreachable: set[str] = field(default_factory=set)

    def post(self, connection_id: str, text: str) -> None:
        if connection_id == session_end.NO_CONNECTION:
            raise Gone
        if connection_id in self.unreachable:
            raise PostFailed(500)
        super().post(connection_id, text)


@pytest.fixture
def phones() -> UnreliableConnections:
    return UnreliableConnections()


@pytest.mark.parametrize("text", ["", " ", "golden-eagle", "golden-eagle-42x", "../golden-eagle-1"])
def test_a_malformed_session_id_is_refused_before_the_stage_is_looked_up(text: str) -> None:
    with pytest.raises(EndError, match="is not a session ID; one looks like golden-eagle-427"):
        operate.run_end(Namespace(session=text, confirm=None, stage="nowhere"))


@pytest.mark.parametrize("closed", [False, True])
def test_without_a_terminal_an_end_needs_confirm(
    monkeypatch: pytest.MonkeyPatch, closed: bool
) -> None:
    monkeypatch.setattr(sys, "stdin", None if closed else io.StringIO("yes\n"))
    with pytest.raises(ConsentError, match="--confirm golden-eagle-427"):
        operate.run_end(Namespace(session="Golden Eagle 427", confirm=None, stage="nowhere"))


@pytest.mark.parametrize("confirmed", ["golden-eagle-428", "yes", ""])
def test_the_confirmation_of_another_session_is_refused(confirmed: str) -> None:
    with pytest.raises(ConsentError, match="was confirmed, not golden-eagle-427"):
        operate.run_end(Namespace(session="golden-eagle-427", confirm=confirmed, stage="nowhere"))


@pytest.mark.parametrize(
    ("stage", "typed", "is_agreed"),
    [
        ("dev", "no\n", False),
        ("dev", "", False),
        ("dev", "yes\n", True),
        ("prod", "yes\n", False),
        ("prod", "golden-eagle-100\n", True),
        (None, "yes\n", True),
    ],
)
def test_an_end_at_a_terminal_asks_for_confirmation(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    stores: Stores,
    session_id: str,
    stage: str | None,
    typed: str,
    is_agreed: bool,
) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal(typed))
    session = stores.sessions.find_open(session_id)
    assert session is not None
    options = Namespace(confirm=None, stage=stage)
    if is_agreed:
        operate.ask(session, options)
    else:
        with pytest.raises(ConsentError, match="nothing was changed"):
            operate.ask(session, options)
    assert "End golden-eagle-100 " in capsys.readouterr().out


def test_an_unknown_session_is_not_ended(
    stores: Stores,
    phones: FakeConnections,
) -> None:
    with pytest.raises(EndError, match="there is no open session golden-eagle-427"):
        end_session(stores, phones, "golden-eagle-427", agree)


def test_an_unconfirmed_end_changes_nothing(
    stores: Stores, phones: FakeConnections, dynamodb: Any, session_id: str
) -> None:
    before = scan(dynamodb, "sessions")

    def refuse(_: object) -> None:
        raise ConsentError("nothing was changed")

    with pytest.raises(ConsentError):
        end_session(stores, phones, session_id, refuse)
    assert scan(dynamodb, "sessions") == before


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (403, "lack execute-api:ManageConnections"),
        (500, "@connections returned status 500"),
        (0, "@connections returned no answer"),
    ],
)
def test_a_session_does_not_end_if_connections_refuses_posts(
    stores: Stores, dynamodb: Any, session_id: str, status: int, reason: str
) -> None:
    before = scan(dynamodb, "sessions")
    shut: Any = ShutConnections(status=status)
    with pytest.raises(EndError, match=reason):
        end_session(stores, shut, session_id, agree)
    assert scan(dynamodb, "sessions") == before


@pytest.mark.parametrize("is_paused", [False, True])
def test_an_end_notifies_every_participant_of_an_expiry(
    stores: Stores,
    phones: UnreliableConnections,
    dispatcher: Dispatcher,
    dynamodb: Any,
    session_id: str,
    is_paused: bool,
) -> None:
    join(dispatcher, 1, session_id, "es")
    if is_paused:
        dispatcher.message(frame("speaker=", "user-1", action="pauseSession"))
    told = end_session(stores, phones, session_id, agree)
    assert (told.notified, told.gone, told.failed) == (2, 0, 0)
    for receiver in ("speaker=", "listener-1="):
        heard = phones.inbox[receiver][-1]
        assert (heard["type"], heard["sessionId"], heard["reason"]) == (
            "sessionEnded",
            session_id,
            "expired",
        )
    assert scan(dynamodb, "connections") == []


def test_an_end_counts_gone_connections_and_failed_posts(
    stores: Stores, phones: UnreliableConnections, dispatcher: Dispatcher, session_id: str
) -> None:
    for number in (1, 2, 3):
        join(dispatcher, number, session_id, "es")
    phones.closed = {"speaker=", "listener-1="}
    phones.unreachable = {"listener-2="}
    told = end_session(stores, phones, session_id, agree)
    assert (told.notified, told.gone, told.failed) == (1, 2, 1)


def test_an_end_continues_if_the_speaker_cannot_be_notified(
    stores: Stores, phones: UnreliableConnections, dispatcher: Dispatcher, session_id: str
) -> None:
    join(dispatcher, 1, session_id, "es")
    phones.unreachable = {"speaker="}
    told = end_session(stores, phones, session_id, agree)
    assert (told.notified, told.gone, told.failed) == (1, 0, 1)


def test_an_interrupted_session_can_be_ended(
    stores: Stores,
    use_cases: UseCases,
    phones: UnreliableConnections,
    dispatcher: Dispatcher,
    session_id: str,
) -> None:
    join(dispatcher, 1, session_id, "es")
    use_cases.lifecycle.leave("speaker=")
    told = end_session(stores, phones, session_id, agree)
    assert told.notified == 1
    assert phones.inbox["listener-1="][-1]["reason"] == "expired"


def test_a_session_ends_once(stores: Stores, phones: FakeConnections, session_id: str) -> None:
    end_session(stores, phones, session_id, agree)
    with pytest.raises(EndError, match="there is no open session"):
        end_session(stores, phones, session_id, agree)


def test_a_session_that_its_speaker_ends_before_the_confirmation_is_not_ended_again(
    stores: Stores, dispatcher: Dispatcher, phones: UnreliableConnections, session_id: str
) -> None:
    def end_by_speaker(_: object) -> None:
        dispatcher.message(frame("speaker=", "user-1", action="endSession"))

    with pytest.raises(EndError, match="has already been ended"):
        end_session(stores, phones, session_id, end_by_speaker)
    assert phones.inbox == {}


def test_the_sweep_completes_an_interrupted_end(
    stores: Stores,
    phones: UnreliableConnections,
    dispatcher: Dispatcher,
    sweep: Sweep,
    dynamodb: Any,
    session_id: str,
) -> None:
    join(dispatcher, 1, session_id, "es")
    stores.sessions.expire(session_id)
    sweep.run()
    for receiver in ("speaker=", "listener-1="):
        assert phones.inbox[receiver][-1]["reason"] == "expired"
    assert scan(dynamodb, "connections") == []


def test_expiring_an_unknown_session_creates_none(stores: Stores, dynamodb: Any) -> None:
    assert stores.sessions.expire("golden-eagle-427") is None
    assert scan(dynamodb, "sessions") == []


def test_an_ended_session_does_not_expire(stores: Stores, dynamodb: Any, session_id: str) -> None:
    stores.sessions.claim_end(session_id, EndReason.SPEAKER_ENDED, "speaker=")
    before = scan(dynamodb, "sessions")
    assert stores.sessions.expire(session_id) is None
    assert scan(dynamodb, "sessions") == before


def test_an_expired_session_is_kept_for_the_sweep_and_cannot_be_extended(
    stores: Stores, dynamodb: Any, clock: Clock, session_id: str
) -> None:
    expired = stores.sessions.expire(session_id)
    assert expired is not None
    assert expired.expires_at_seconds == clock.now
    (item,) = scan(dynamodb, "sessions")
    assert int(item["ttl"]["N"]) == clock.now + KEPT_AFTER_END_SECONDS
    assert stores.sessions.find_open(session_id) is None
    assert stores.sessions.extend(session_id, "speaker=", int(clock.now) + 7200) is None
    with pytest.raises(SessionNotFound):
        stores.seats.take(session_id, "es", None, 500)


def test_without_open_sessions_the_list_is_empty(stores: Stores, clock: Clock) -> None:
    assert list_sessions(stores.sessions, clock()) == []


def test_a_description_has_the_fields_of_session_status(
    stores: Stores, dispatcher: Dispatcher, clock: Clock, session_id: str
) -> None:
    for number, language in enumerate(("fr", "es", "es")):
        join(dispatcher, number, session_id, language)
    clock.now += 61
    assert list_sessions(stores.sessions, clock()) == [
        {
            "sessionId": "golden-eagle-100",
            "status": "active",
            "listenerCount": 3,
            "languages": {"es": 2, "fr": 1},
            "createdAt": 1_800_000_000_000,
            "expiresAt": 1_800_007_200_000,
            "ageSeconds": 61,
            "sourceLanguage": "en",
            "qualityTier": "standard",
        }
    ]


def test_a_description_contains_no_ids_of_participants_and_no_invite_code(
    stores: Stores, dispatcher: Dispatcher, dynamodb: Any, clock: Clock, session_id: str
) -> None:
    join(dispatcher, 1, session_id, "es")
    found = list_sessions(stores.sessions, clock())
    shown = json.dumps(found) + session_list.table(found)
    (session,) = scan(dynamodb, "sessions")
    for name in ("speakerUserId", "speakerConnectionId", "inviteCode"):
        assert session[name]["S"] not in shown
    assert "listener-1" not in shown


def test_paused_and_interrupted_sessions_are_listed_but_not_ended_ones(
    stores: Stores, use_cases: UseCases, dispatcher: Dispatcher, clock: Clock
) -> None:
    ids = {
        word: reply(dispatcher.message(frame(f"{word}=", "user-1", **CREATE)))["sessionId"]
        for word in ("paused", "interrupted", "ended", "expired", "lost")
    }
    dispatcher.message(frame("paused=", "user-1", action="pauseSession"))
    use_cases.lifecycle.leave("lost=")
    clock.now += 60
    use_cases.lifecycle.leave("interrupted=")
    dispatcher.message(frame("ended=", "user-1", action="endSession"))
    stores.sessions.expire(ids["expired"])
    shown = {each["sessionId"]: each["status"] for each in list_sessions(stores.sessions, clock())}
    assert shown == {ids["paused"]: "paused", ids["interrupted"]: "interrupted"}


def test_all_pages_of_sessions_are_listed_by_their_listener_count(
    monkeypatch: pytest.MonkeyPatch, stores: Stores, dispatcher: Dispatcher, clock: Clock
) -> None:
    monkeypatch.setattr("chalicelib.store.sessions.PAGE_SESSIONS", 3)
    ids = [
        reply(dispatcher.message(frame(f"speaker-{number}=", "user-1", **CREATE)))["sessionId"]
        for number in range(11)
    ]
    join(dispatcher, 1, ids[4], "es")
    join(dispatcher, 2, ids[7], "es")
    join(dispatcher, 3, ids[7], "de")
    found = [each["sessionId"] for each in list_sessions(stores.sessions, clock())]
    assert found == [ids[7], ids[4], *sorted({*ids} - {ids[4], ids[7]})]


def test_the_sweeps_cursor_is_not_listed(stores: Stores, clock: Clock) -> None:
    stores.sweep_cursor.put(SweepCursor(after_session_id="golden-eagle-427"))
    assert list_sessions(stores.sessions, clock()) == []


def test_a_table_shows_counts_ages_and_times_in_readable_units() -> None:
    found = {
        "sessionId": "golden-eagle-427",
        "status": "active",
        "listenerCount": 243,
        "languages": {"de": 12, "es": 200, "fr": 31},
        "createdAt": 1_800_000_000_000,
        "expiresAt": 1_800_007_200_000,
        "ageSeconds": 4330,
        "sourceLanguage": "en",
        "qualityTier": "premium",
    }
    empty = {**found, "sessionId": "calm-fox-100", "listenerCount": 0, "languages": {}}
    first, second, third = session_list.table([found, empty]).splitlines()
    assert first.split() == list(session_list.COLUMNS)
    assert re.split(r"  +", second) == [
        *("golden-eagle-427", "active", "243", "es 200, fr 31, de 12"),
        *("1 h 12 min", "2027-01-15 10:00 UTC", "en", "premium"),
    ]
    assert re.split(r"  +", third)[2:4] == ["0", "-"]


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (EndError("no"), "no"),
        (StageError("not deployed"), "not deployed"),
        (SettingError("there are no AWS credentials"), "there are no AWS credentials"),
        (NoCredentialsError(), "Unable to locate credentials"),
        (ProfileNotFound(profile="ops"), "The config profile (ops) could not be found"),
        (busy(AttemptFailed("no answer", may_repeat=True)), "can't be reached"),
        (busy(Overloaded()), "DynamoDB is busy"),
        (Refused("AccessDeniedException", "Scan"), "lack dynamodb:Scan"),
        (Refused("AccessDeniedException", "TransactWriteItems"), "lack dynamodb:DeleteItem"),
        (refusal("AccessDenied", "AssumeRole"), "lack sts:AssumeRole"),
        (Refused("ExpiredTokenException", "Scan"), "invalid or have expired"),
        (Refused("UnrecognizedClientException", "Scan"), "invalid or have expired"),
        (Refused("ResourceNotFoundException", "Scan"), "credentials of its account"),
        (Refused("ValidationException", "Scan"), "refused Scan: ValidationException"),
        (
            StackError("terraform init has failed\nx\n│ Error: No valid credential sources\n│ y"),
            "terraform init has failed: No valid credential sources",
        ),
        (StackError("another command is running"), "another command is running"),
    ],
    ids=str,
)
def test_an_error_is_explained_in_one_line_without_aws_message(error: Exception, said: str) -> None:
    explanation = operate.explain(error)
    assert explanation is not None
    assert said in explanation
    assert "\n" not in explanation
    assert "anna" not in explanation


def test_an_unexpected_error_is_not_explained() -> None:
    assert operate.explain(KeyError("sessionId")) is None


def on_aws(monkeypatch: pytest.MonkeyPatch, outputs: Mapping[str, Any]) -> dict[str, str]:
    monkeypatch.setattr(stage_environment, "read_outputs", lambda stack: dict(outputs))
    return stage_environment.on_aws(Stack("dev"))


def test_a_stage_without_the_outputs_is_not_deployed(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(StageError, match=r"dev is not deployed.* make deploy STAGE=dev"):
        on_aws(monkeypatch, {})
    half = {name: OUTPUTS[name] for name in ("api_id", "alarm_topic_arn")}
    with pytest.raises(StageError, match="no output table_names"):
        on_aws(monkeypatch, half)


def test_a_stage_in_another_partition_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    arn = OUTPUTS["alarm_topic_arn"].replace("arn:aws:", "arn:aws-cn:")  # type: ignore[attr-defined]
    with pytest.raises(StageError, match="dev is in the partition aws-cn"):
        on_aws(monkeypatch, {**OUTPUTS, "alarm_topic_arn": arn})


def test_the_environment_of_a_stage_comes_from_its_outputs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert on_aws(monkeypatch, OUTPUTS) == ON_AWS


def deployed(root: Path, outputs: Mapping[str, Any]) -> Stack:
    """Make a project with the stage dev and the state of its last apply."""
    stack = Stack("dev", root)
    stack.environments.mkdir(parents=True)
    (stack.environments / "dev.tfvars").touch()
    if outputs:
        types = {"table_names": ["map", "string"]}
        state = {
            "version": 4,
            "terraform_version": "1.11.0",
            "serial": 1,
            "lineage": "of-dev",
            "outputs": {
                name: {"value": value, "type": types.get(name, "string")}
                for name, value in outputs.items()
            },
            "resources": [],
        }
        file = stack.local_states / "dev" / "terraform.tfstate"
        file.parent.mkdir(parents=True)
        file.write_text(json.dumps(state))
    return stack


@pytest.mark.parametrize("outputs", [{}, OUTPUTS], ids=["not deployed", "deployed"])
def test_outputs_are_read_from_the_state(tmp_path: Path, outputs: dict[str, Any]) -> None:
    require_terraform()
    assert read_outputs(deployed(tmp_path, outputs)) == outputs


def test_outputs_are_not_read_while_another_command_runs_for_the_stage(tmp_path: Path) -> None:
    stack = deployed(tmp_path, {})
    with stack.lock(), pytest.raises(StackError, match="another command for dev is running"):
        read_outputs(stack)


def test_a_closed_output_pipe_is_no_failure() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-c", LISTING_MANY],
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
        timeout=60,
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_stack_declares_the_outputs_that_an_operator_needs() -> None:
    declared = re.findall(r'output "(\w+)"', Path("terraform/outputs.tf").read_text())
    assert set(stage_environment.OUTPUTS) <= set(declared)


def test_a_stage_without_a_file_is_refused() -> None:
    with pytest.raises(StackError, match="there is no stage 'nowhere'"):
        stage_environment.get_environment("nowhere")


def test_the_stage_local_is_refused_without_a_running_emulator(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(running_emulation, "FILE", tmp_path / "emulate.json")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with pytest.raises(StageError, match="make emulate"):
        stage_environment.get_environment("local")


def test_a_local_server_that_does_not_answer_is_an_error() -> None:
    with pytest.raises(StageError, match="no local server answers on port 9"):
        stage_environment.on_local_server(9)


def test_the_emulators_credentials_replace_all_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "environ", {"AWS_PROFILE": "prod", "AWS_SESSION_TOKEN": "x"})
    stage_environment.enter({"AWS_ACCESS_KEY_ID": "local"})
    assert os.environ == {"AWS_ACCESS_KEY_ID": "local"}


def test_a_stage_on_aws_uses_the_operators_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "environ", {"AWS_PROFILE": "ops", "AWS_DEFAULT_REGION": "us-east-1"})
    stage_environment.enter(ON_AWS)
    assert os.environ == {**ON_AWS, "AWS_PROFILE": "ops"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["sessions", "--port", "9"], "no local server answers on port 9"),
        (["end", "golden-eagle", "--port", "9"], "'golden-eagle' is not a session ID"),
        (["end", "golden-eagle-427", "--port", "9"], "--confirm golden-eagle-427"),
    ],
)
def test_a_failure_is_one_line_on_stderr(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    said: str,
) -> None:
    monkeypatch.setattr(sys, "argv", ["operate", *arguments])
    assert operate.main() == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert said in err
    assert err.startswith("operate: ")
    assert err.count("\n") == 1


def test_a_failed_command_exits_with_1() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "operations.operate", "sessions", "--stage", "nowhere"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert re.fullmatch("operate: .*there is no stage 'nowhere'.*\n", done.stderr)


ON_A_STAGE = """
import json, sys
from operations import operate, stage_environment
outputs = json.loads(sys.argv.pop(1))
stage_environment.read_outputs = lambda stack: outputs
sys.exit(operate.main())
"""
"""Runs the command with outputs from an argument, without Terraform."""

NO_CREDENTIALS = {
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
}
SOME_CREDENTIALS = {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x"}
OUT_OF_REACH = {"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}


on_each_verb = pytest.mark.parametrize(
    "arguments",
    [["sessions"], ["end", "golden-eagle-427", "--confirm", "golden-eagle-427"]],
    ids=["sessions", "end"],
)


@on_each_verb
@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({}, "AWS can't be called: Unable to locate credentials"),
        ({"AWS_PROFILE": "ops"}, "The config profile (ops) could not be found"),
    ],
    ids=["no credentials", "no such profile"],
)
def test_missing_credentials_are_one_line_on_stderr(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    environment: dict[str, str],
    said: str,
) -> None:
    monkeypatch.setattr(stage_environment, "read_outputs", lambda _: OUTPUTS)
    monkeypatch.setattr(os, "environ", {**without_aws(), **environment})
    monkeypatch.setattr(sys, "argv", ["operate", *arguments, "--stage", "dev"])
    assert operate.main() == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("operate: ")
    assert said in err
    assert err.count("\n") == 1


def without_aws() -> dict[str, str]:
    ours = {name: it for name, it in os.environ.items() if not name.startswith("AWS_")}
    return {**ours, **NO_CREDENTIALS, **OUT_OF_REACH}


@on_each_verb
def test_an_unreachable_aws_is_one_line_on_stderr(arguments: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", ON_A_STAGE, json.dumps(OUTPUTS), *arguments, "--stage", "dev"],
        env={**without_aws(), **SOME_CREDENTIALS},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("operate: ")
    assert "AWS can't be reached: no answer" in done.stderr
    assert done.stderr.count("\n") == 1
