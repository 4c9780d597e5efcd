"""Starts of the local server that fail because of an invalid setting."""

import os
import subprocess
import sys

import pytest

EMBEDDED = {
    "SESSIONS_TABLE": "s",
    "CAPTIONS_TABLE": "captions",
    "CONNECTIONS_TABLE": "c",
    "RATE_LIMITS_TABLE": "r",
    "COGNITO_USER_POOL_ID": "us-east-1_pool",
    "COGNITO_CLIENT_ID": "client",
}
"""The variables that the embedded AWS would set. These starts don't need it."""


@pytest.mark.parametrize(
    ("options", "settings", "said"),
    [
        (
            [],
            {"MAX_LISTENERS_PER_SESSION": "abc"},
            "MAX_LISTENERS_PER_SESSION must be a number, not 'abc'",
        ),
        (
            [],
            {"MAX_LISTENER_PER_SESSION": "3"},
            "MAX_LISTENER_PER_SESSION is not a setting; did you mean MAX_LISTENERS_PER_SESSION?",
        ),
        (
            [],
            {"CONNECTION_REFRESH_MINUTES": "200"},
            "CONNECTION_REFRESH_MINUTES (200) must be less than CONNECTION_WARNING_MINUTES (105)",
        ),
        ([], {"LOG_LEVEL": "LOUD"}, "LOG_LEVEL must be one of DEBUG, INFO, WARNING, ERROR"),
        (["--stage", "prod"], {}, "not set: OUTCOME_FUNCTION, HASH_KEY"),
    ],
)
def test_an_invalid_setting_prevents_the_start_with_one_line(
    options: list[str], settings: dict[str, str], said: str
) -> None:
    run = subprocess.run(
        [sys.executable, "-m", "local_gateway", "--port", "0", "--no-aws", *options],
        env={**os.environ, **EMBEDDED, **settings},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (run.returncode, run.stdout) == (1, "")
    assert run.stderr.startswith(f"chalice-local-gateway: {said}")
    assert run.stderr.count("\n") == 1
