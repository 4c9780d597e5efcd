"""The credentials that the stand-ins of `INTERPRETER=aws make local` get."""

import json
import os

import pytest

from operations import developer_credentials
from operations.credentials import CredentialsError


@pytest.fixture(autouse=True)
def no_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture
def checked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the regions in which the credentials were checked, instead of by AWS."""
    regions: list[str] = []
    monkeypatch.setattr(developer_credentials, "check", regions.append)
    return regions


def test_a_missing_region_is_named() -> None:
    with pytest.raises(CredentialsError, match="there is no AWS Region; set AWS_DEFAULT_REGION"):
        developer_credentials.find()


def test_missing_credentials_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    with pytest.raises(CredentialsError, match="there are no AWS credentials; sign in"):
        developer_credentials.find()


def test_an_unknown_profile_is_explained_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    with pytest.raises(CredentialsError, match=r"^The config profile \(nobody\)"):
        developer_credentials.find()


def test_an_error_is_printed_without_a_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["developer_credentials"])
    assert developer_credentials.main() == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.count("\n") == 1


@pytest.mark.parametrize("token", [None, "token"])
def test_the_credentials_and_the_region_are_printed(
    monkeypatch: pytest.MonkeyPatch, checked: list[str], token: str | None
) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDME")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    if token:
        monkeypatch.setenv("AWS_SESSION_TOKEN", token)
    assert json.loads(developer_credentials.find()) == ["AKIDME", "secret", token, "eu-west-1"]
    assert checked == ["eu-west-1"]
