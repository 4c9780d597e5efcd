"""The commands of an operator: confirmation, errors and exit codes."""

import io
import json
import os
import re
import subprocess
import sys
from argparse import Namespace

import pytest
from botocore.exceptions import ClientError, NoCredentialsError, ProfileNotFound

from chalicelib.aws.dynamodb import Refused
from chalicelib.aws.retries import AttemptFailed, Overloaded
from chalicelib.environment import SettingError
from chalicelib.errors import ServiceUnavailable
from chalicelib.store.stores import Stores
from operations import operate, stage_environment
from operations.consent import ConsentError
from operations.session_end import EndError
from operations.stage_environment import StageError
from operations.terraform_stack import StackError
from tests.unit.fakes import STAGE_OUTPUTS

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


@pytest.mark.parametrize(
    ("error", "message"),
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
def test_an_error_is_explained_in_one_line_without_aws_message(
    error: Exception, message: str
) -> None:
    explanation = operate.explain(error)
    assert explanation is not None
    assert message in explanation
    assert "\n" not in explanation
    assert "anna" not in explanation


def test_an_unexpected_error_is_not_explained() -> None:
    assert operate.explain(KeyError("sessionId")) is None


def test_a_closed_output_pipe_is_not_an_error() -> None:
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


@pytest.mark.parametrize(
    ("arguments", "message"),
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
    message: str,
) -> None:
    monkeypatch.setattr(sys, "argv", ["operate", *arguments])
    assert operate.main() == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert message in err
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
    ("environment", "message"),
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
    message: str,
) -> None:
    monkeypatch.setattr(stage_environment, "read_outputs", lambda _: STAGE_OUTPUTS)
    monkeypatch.setattr(os, "environ", {**without_aws(), **environment})
    monkeypatch.setattr(sys, "argv", ["operate", *arguments, "--stage", "dev"])
    assert operate.main() == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("operate: ")
    assert message in err
    assert err.count("\n") == 1


def without_aws() -> dict[str, str]:
    ours = {name: it for name, it in os.environ.items() if not name.startswith("AWS_")}
    return {**ours, **NO_CREDENTIALS, **OUT_OF_REACH}


@on_each_verb
def test_an_unreachable_aws_is_one_line_on_stderr(arguments: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", ON_A_STAGE, json.dumps(STAGE_OUTPUTS), *arguments, "--stage", "dev"],
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
