"""The wiring of functions from their settings, each in a process of its own."""

import json
import subprocess
import sys

import pytest

from tests.unit.test_signed_http import CUT, PlayedServer

ENVIRONMENT = {
    "SESSIONS_TABLE": "s",
    "CONNECTIONS_TABLE": "c",
    "CAPTIONS_TABLE": "captions",
    "OUTCOME_FUNCTION": "f",
    "RATE_LIMITS_TABLE": "r",
    "HASH_KEY": "key",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_REGION": "us-east-1",
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
}
ON_AWS = {"CONNECTIONS_URL": "https://abc123.execute-api.us-east-1.amazonaws.com/dev"}
ON_AN_EMULATOR = {**ON_AWS, "AWS_ENDPOINT_URL": "http://127.0.0.1:4566"}
ON_THE_LOCAL_SERVER = {
    "AWS_ENDPOINT_URL": "http://127.0.0.1:4566",
    "AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI": "http://127.0.0.1:8765/local",
}

# Wiring happens once per process, so each test starts one. The script prints its clients' URLs.
SCRIPT = """
import json
from chalicelib import wiring
from chalicelib.aws import http
urls = []
init = http.SignedClient.__init__
def keep(self, endpoint_url, service, *arguments, **named):
    urls.append([service, endpoint_url])
    init(self, endpoint_url, service, *arguments, **named)
http.SignedClient.__init__ = keep
wiring.{part}
wiring.{part}
print(json.dumps(urls))
"""


def run(part: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", SCRIPT.replace("{part}", part)],
        env={**ENVIRONMENT, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("environment", [{}, {"AWS_ENDPOINT_URL": "http://127.0.0.1:4566"}])
def test_a_sweep_without_a_connections_url_names_the_missing_setting(
    environment: dict[str, str],
) -> None:
    failed = run("sweep()", environment)
    assert failed.returncode == 1
    assert "SettingError: CONNECTIONS_URL is not set" in failed.stderr


@pytest.mark.parametrize(
    ("environment", "url"),
    [
        (ON_AWS, "https://abc123.execute-api.us-east-1.amazonaws.com/dev"),
        ({"CONNECTIONS_URL": "https://ws.example.com"}, "https://ws.example.com"),
        (ON_AN_EMULATOR, "http://127.0.0.1:4566/_aws/execute-api/abc123/dev"),
        (ON_THE_LOCAL_SERVER, "http://127.0.0.1:8765/local"),
        ({**ON_AN_EMULATOR, **ON_THE_LOCAL_SERVER}, "http://127.0.0.1:8765/local"),
    ],
    ids=["AWS", "AWS with a custom domain", "emulator", "local server", "both"],
)
def test_the_sweep_uses_one_client_for_the_url_of_its_connections(
    environment: dict[str, str], url: str
) -> None:
    done = run("sweep()", environment)
    assert done.stderr == ""
    urls = json.loads(done.stdout)
    assert [each[1] for each in urls if each[0] == "execute-api"] == [url]
    assert {each[0] for each in urls} == {"dynamodb", "execute-api", "lambda"}


@pytest.mark.parametrize(
    ("environment", "url"),
    [
        ({}, "https://dynamodb.us-east-1.amazonaws.com"),
        (ON_AN_EMULATOR, "http://127.0.0.1:4566"),
        (
            {**ON_AN_EMULATOR, "AWS_ENDPOINT_URL_DYNAMODB": "http://127.0.0.1:1"},
            "http://127.0.0.1:1",
        ),
    ],
    ids=["AWS", "emulator", "custom endpoint of DynamoDB"],
)
def test_the_authorizer_counts_at_the_configured_endpoint_of_dynamodb(
    environment: dict[str, str], url: str
) -> None:
    pool = {"COGNITO_USER_POOL_ID": "us-east-1_pool", "COGNITO_CLIENT_ID": "client"}
    done = run("authorizer()", {**environment, **pool})
    assert done.stderr == ""
    assert json.loads(done.stdout) == [["dynamodb", url]]


POOL = {"COGNITO_USER_POOL_ID": "us-east-1_pool", "COGNITO_CLIENT_ID": "client"}


@pytest.mark.parametrize(
    ("handler", "setting", "message"),
    [
        ("message", {"MAX_LISTENERS_PER_SESSION": "abc"}, "MAX_LISTENERS_PER_SESSION must be a"),
        ("connect", {"CONNECTION_REFRESH_MINUTES": "200"}, "CONNECTION_REFRESH_MINUTES (200)"),
        ("authorizer", {"RATE_LIMIT_CONNECTIONS_PER_MIN": "0"}, "RATE_LIMIT_CONNECTIONS_PER_MIN"),
        ("authorizer", {"RATE_LIMIT_JOINS": "1"}, "RATE_LIMIT_JOINS is not a setting"),
        ("sweep", {"MAX_LISTENER_PER_SESSION": "3"}, "MAX_LISTENER_PER_SESSION is not a setting"),
        ("disconnect", {"HASH_KEY": ""}, "HASH_KEY is not set"),
    ],
)
@pytest.mark.parametrize("environment", [ON_AWS, ON_AN_EMULATOR], ids=["AWS", "emulator"])
def test_a_function_with_an_invalid_setting_fails_at_its_start(
    environment: dict[str, str], handler: str, setting: dict[str, str], message: str
) -> None:
    failed = run("start()", {**environment, **POOL, "_HANDLER": f"app.{handler}", **setting})
    assert failed.returncode == 1
    assert f"SettingError: {message}" in failed.stderr.splitlines()[-1]


def test_the_local_server_names_an_invalid_setting_in_one_line() -> None:
    local = {**ON_THE_LOCAL_SERVER, **POOL}
    failed = run("start()", {**local, "MAX_LISTENERS_PER_SESSION": "abc"})
    assert failed.returncode == 1
    assert failed.stderr == "MAX_LISTENERS_PER_SESSION must be a number, not 'abc'\n"
    assert run("start()", local).returncode == 0


def test_packaging_the_functions_needs_no_settings() -> None:
    done = run("start()", {"HASH_KEY": "", "MAX_LISTENERS_PER_SESSION": "abc"})
    assert done.returncode == 0


COUNTED = b'HTTP/1.1 200 OK\r\nContent-Length: 18\r\n\r\n{"Attributes": {}}'
AFTER_A_FREEZE = """
import time
now = time.time()
time.time = lambda: now
from chalicelib import aws_clients
write = aws_clients.dynamodb("store").update_item
write(TableName="s", Key={})
now += 20
write(TableName="s", Key={})
"""


def test_no_dynamodb_client_sends_over_a_connection_that_was_idle_for_twenty_seconds() -> None:
    server = PlayedServer([[COUNTED, CUT], [COUNTED]])
    environment = {"AWS_ENDPOINT_URL": server.url}
    try:
        done = subprocess.run(
            [sys.executable, "-c", AFTER_A_FREEZE],
            env={**ENVIRONMENT, **environment},
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        server.stop()
    assert done.stderr == ""
    assert [len(requests) for requests in server.requests] == [1, 1]
