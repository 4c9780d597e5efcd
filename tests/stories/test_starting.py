"""Starts of the local server that a setting or an option makes impossible."""

import os
import subprocess
import sys

import pytest

EMBEDDED = {
    "SESSIONS_TABLE": "s",
    "CONNECTIONS_TABLE": "c",
    "RATE_LIMITS_TABLE": "r",
    "COGNITO_USER_POOL_ID": "us-east-1_pool",
    "COGNITO_CLIENT_ID": "client",
}
"""Named by the embedded AWS, which these starts don't need."""


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
def test_a_setting_that_makes_no_sense_ends_the_start_with_a_line_that_names_it(
    options: list[str], settings: dict[str, str], said: str
) -> None:
    run = subprocess.run(
        [sys.executable, "-m", "devserver", "--port", "0", "--no-aws", *options],
        env={**os.environ, **EMBEDDED, **settings},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (run.returncode, run.stdout) == (1, "")
    assert run.stderr.startswith(f"devserver: {said}")
    assert run.stderr.count("\n") == 1
