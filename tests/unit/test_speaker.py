"""The creation of a speaker in the user pool of a stage."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from local_gateway import aws
from operations import running_emulation, speaker
from operations.running_emulation import RunningEmulation
from operations.speaker import SpeakerError, UserPool

EMAIL = "o'brien@example.com"


@pytest.fixture(scope="module")
def endpoint_url() -> Iterator[str]:
    with aws.ministack() as endpoint_url:
        yield endpoint_url


@pytest.fixture
def pool(endpoint_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[UserPool]:
    """Return the user pool of an emulation that runs in this folder."""
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    monkeypatch.setattr(running_emulation, "FILE", tmp_path / "emulate.json")
    cognito = aws.client("cognito-idp", endpoint_url)
    created = cognito.create_user_pool(PoolName="local", UsernameAttributes=["email"])
    outputs = {"user_pool_id": created["UserPool"]["Id"], "client_id": "a-client"}
    running = RunningEmulation({"AWS_ENDPOINT_URL": endpoint_url}, outputs)
    with running_emulation.claim() as claimed:
        running_emulation.announce(claimed, running)
        yield UserPool.of("local", outputs, cognito)


class Refusing:
    """A Cognito that answers every request with an error."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def admin_create_user(self, **_: Any) -> None:
        raise self.error


def run(monkeypatch: pytest.MonkeyPatch, email: str, stage: str = "local") -> int:
    monkeypatch.setattr(sys, "argv", ["speaker", stage, "--email", email])
    return speaker.main()


@pytest.mark.parametrize(
    ("email", "explanation"),
    [
        ("", "'' is not an email address; one looks like speaker@example.com"),
        ("speaker", "'speaker' is not an email address"),
        ("a speaker@example.com", "is not an email address"),
        ("speaker@example", "is not an email address"),
        ("speaker@example.com\n", "is not an email address"),
        ("s" * 128 + "@example.com", "is not an email address"),
    ],
)
def test_a_malformed_address_is_refused_before_the_stage_is_looked_up(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    email: str,
    explanation: str,
) -> None:
    assert run(monkeypatch, email, "nowhere") == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert explanation in printed.err
    assert printed.err.count("\n") == 1


def test_an_unknown_stage_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, EMAIL, "nowhere") == 1
    assert "there is no stage 'nowhere'" in capsys.readouterr().err


def test_a_missing_emulation_is_an_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    monkeypatch.setattr(running_emulation, "FILE", tmp_path / "emulate.json")
    assert run(monkeypatch, EMAIL) == 1
    assert capsys.readouterr().err == (
        "speaker: no emulation is running; start one: make emulate\n"
    )


def test_a_speaker_is_created_with_a_verified_address(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], pool: UserPool
) -> None:
    assert run(monkeypatch, EMAIL) == 0
    printed = capsys.readouterr().out
    assert "make -s token STAGE=local USERNAME=" in printed
    user = pool.cognito.admin_get_user(UserPoolId=pool.pool_id, Username=EMAIL)
    attributes = {it["Name"]: it["Value"] for it in user["UserAttributes"]}
    assert attributes["email"] == EMAIL
    assert attributes["email_verified"] == "true"
    assert user["UserStatus"] == "FORCE_CHANGE_PASSWORD"


def test_a_second_speaker_of_the_same_address_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], pool: UserPool
) -> None:
    assert run(monkeypatch, EMAIL) == 0
    capsys.readouterr()
    assert run(monkeypatch, EMAIL) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err == (
        f"speaker: {EMAIL} is already a user of local's pool; nothing was changed\n"
    )


@pytest.mark.parametrize(
    ("error", "explanation"),
    [
        (
            ClientError({"Error": {"Code": "AccessDeniedException", "Message": "User: anna"}}, "x"),
            r"^these credentials lack cognito-idp:AdminCreateUser for eu-central-1_pool$",
        ),
        (
            ClientError({"Error": {"Code": "LimitExceeded", "Message": "Too many."}}, "x"),
            "LimitExceeded: Too many",
        ),
        (EndpointConnectionError(endpoint_url="https://x"), "Cognito can't be reached"),
    ],
    ids=["denied", "refused", "unreachable"],
)
def test_a_refusal_by_cognito_is_one_sentence(error: Exception, explanation: str) -> None:
    pool = UserPool("dev", "eu-central-1_pool", "a-client", Refusing(error))
    with pytest.raises(SpeakerError, match=explanation):
        speaker.create(pool, EMAIL)


def test_the_instructions_on_aws_name_the_region_and_the_pool() -> None:
    pool = UserPool("dev", "eu-central-1_pool", "a-client", None)
    text = speaker.instructions(pool, "anna@example.com")
    assert "Cognito has emailed a temporary password" in text
    assert text.count("--region eu-central-1 --user-pool-id eu-central-1_pool") == 2
    assert "--client-id a-client" in text
