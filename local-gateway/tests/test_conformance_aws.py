"""What the conformance suite does before it creates a stack in an AWS account."""

import io
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from conformance.targets import aws
from conformance.targets.base import TargetError

ACCOUNT = "123456789012"


@pytest.fixture
def created(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Replace AWS and Terraform, and return the regions in which a stack is created."""
    regions = []

    @contextmanager
    def applied_stack(environment: Mapping[str, str]) -> Iterator[None]:
        regions.append(environment["AWS_REGION"])
        raise TargetError("the end of the test")
        yield

    profile = tmp_path / "config"
    profile.write_text("[profile sandbox]\nregion = eu-west-3\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(profile))
    monkeypatch.setenv("AWS_PROFILE", "sandbox")
    monkeypatch.setenv("CONFIRM", ACCOUNT)
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(aws, "find_account", lambda region: ACCOUNT)
    monkeypatch.setattr(aws, "applied_stack", applied_stack)
    return regions


def deploy() -> str:
    """Deploy to AWS, and return the error."""
    with pytest.raises(TargetError) as failed, aws.TARGET.deployed():
        pass
    return str(failed.value)


@pytest.mark.parametrize(
    ("environment", "region"),
    [
        ({"AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "eu-west-2"}, "eu-west-1"),
        ({"AWS_REGION": "", "AWS_DEFAULT_REGION": "eu-west-2"}, "eu-west-2"),
        ({}, "eu-west-3"),
    ],
)
def test_terraform_gets_the_region_of_the_environment_or_of_the_profile(
    environment: dict[str, str],
    region: str,
    created: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    deploy()
    assert created == [region]


def test_no_region_is_an_error(created: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_PROFILE")
    assert deploy() == "no region; set AWS_REGION"
    assert created == []


def test_an_unknown_profile_is_an_error(
    created: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "missing")
    assert "profile (missing) could not be found" in deploy()
    assert created == []


def test_another_account_is_not_confirmed(
    created: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONFIRM", "210987654321")
    assert deploy() == f"not confirmed; type the account's ID, or set CONFIRM={ACCOUNT}"
    assert created == []


@pytest.mark.parametrize(
    ("answer", "regions"), [(f"{ACCOUNT}\n", ["eu-west-3"]), ("yes\n", []), ("", [])]
)
def test_the_account_is_confirmed_at_the_terminal(
    answer: str, regions: list[str], created: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CONFIRM")
    monkeypatch.setattr(sys, "stdin", io.StringIO(answer))
    deploy()
    assert created == regions
