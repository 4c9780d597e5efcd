"""The check of AWS credentials before Terraform runs."""

import os
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from botocore.config import Config

from operations import credentials
from operations.credentials import CredentialsError

REFUSAL = b"""<ErrorResponse><Error><Type>Sender</Type><Code>ExpiredToken</Code>
<Message>The token of arn:aws:iam::123456789012:user/anna has expired</Message></Error>
</ErrorResponse>"""

ACCEPTANCE = b"""<GetCallerIdentityResponse><GetCallerIdentityResult>
<Account>123456789012</Account></GetCallerIdentityResult></GetCallerIdentityResponse>"""


@pytest.fixture(autouse=True)
def no_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture
def some_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")


@pytest.fixture(params=[(403, REFUSAL), (200, ACCEPTANCE)], ids=["refuses", "accepts"])
def sts(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """Serve an STS that gives one answer; return its status."""
    status, body = request.param

    class Sts(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Write nothing."""

    with HTTPServer(("127.0.0.1", 0), Sts) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield status
        server.shutdown()
        thread.join()


def test_missing_credentials_are_an_error() -> None:
    with pytest.raises(CredentialsError, match="there are no AWS credentials; sign in"):
        credentials.check("us-east-1")


def test_an_unknown_profile_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "ops")
    with pytest.raises(CredentialsError, match=r"config profile \(ops\) could not be found$"):
        credentials.check("us-east-1")


@pytest.mark.usefixtures("some_credentials")
def test_refused_credentials_are_reported_with_the_error_code(sts: int) -> None:
    if sts == 200:
        credentials.check("us-east-1")
        return
    with pytest.raises(CredentialsError, match=r"\(ExpiredToken\)") as raised:
        credentials.check("us-east-1")
    assert "anna" not in str(raised.value)


@pytest.mark.usefixtures("some_credentials")
def test_an_unreachable_aws_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    quick = Config(connect_timeout=0.1, read_timeout=0.1, retries={"total_max_attempts": 1})
    monkeypatch.setattr(credentials, "_QUICK", quick)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", f"http://127.0.0.1:{port}")
        with pytest.raises(CredentialsError, match="can't be checked: Read timeout") as raised:
            credentials.check("us-east-1")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("region", "partition"),
    [
        ("cn-north-1", "aws-cn"),
        ("us-iso-east-1", "aws-iso"),
        ("us-isob-east-1", "aws-iso-b"),
        ("eu-isoe-west-1", "aws-iso-e"),
        ("eusc-de-east-1", "aws-eusc"),
    ],
)
def test_a_region_of_another_partition_is_refused(region: str, partition: str) -> None:
    with pytest.raises(CredentialsError, match=f"{region} is in the partition {partition}; "):
        credentials.check(region)


@pytest.mark.parametrize("region", ["us-gov-west-1", "eu-central-1", "Frankfurt"])
def test_the_check_accepts_other_regions_and_terraform_checks_them(region: str) -> None:
    with pytest.raises(CredentialsError, match="there are no AWS credentials"):
        credentials.check(region)
