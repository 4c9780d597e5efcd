"""Prints an ID token of a user of the embedded user pool.

The running gateway provides the endpoint of its embedded AWS.
"""

import json
import sys
import urllib.request
from http.client import HTTPException
from typing import Any

from botocore.exceptions import BotoCoreError

from local_gateway import arguments
from local_gateway.aws import SignInRefused, sign_in
from local_gateway.command import run_command


def main() -> int:
    """Print a token.

    Returns:
        The exit code.
    """
    parser = arguments.Parser(prog="python -m local_gateway.user_token", description=__doc__)
    parser.add_argument("--port", type=arguments.port, default=8000)
    parser.add_argument("--username", default="user@example.com")
    options = parser.parse_args()
    try:
        print(token(options.port, options.username))
    except NoToken as error:
        print(error, file=sys.stderr)
        return 1
    return 0


class NoToken(Exception):
    """No token can be issued. The message explains why and how to fix it."""


def token(port: int, username: str) -> str:
    """Return an ID token of a user.

    Raises:
        NoToken: There is no gateway, it has no user pool, or the username isn't valid.
    """
    try:
        environment = served_environment(port)
    except (OSError, HTTPException, ValueError, KeyError) as error:
        raise NoToken(
            f"no local gateway responds on port {port} ({error}); start it first"
        ) from None
    if "COGNITO_CLIENT_ID" not in environment:
        raise NoToken(f"the gateway on port {port} has no user pool")
    try:
        tokens = sign_in(
            environment["AWS_ENDPOINT_URL"],
            environment["COGNITO_USER_POOL_ID"],
            environment["COGNITO_CLIENT_ID"],
            username,
        )
    except SignInRefused as refusal:
        raise NoToken(f"no token for {username!r}: {refusal}") from None
    except BotoCoreError:
        raise NoToken(
            f"the embedded AWS of the gateway on port {port} can't be reached; restart the gateway"
        ) from None
    return tokens["IdToken"]


def served_environment(port: int) -> dict[str, Any]:
    """Return the environment variables of a running gateway's embedded AWS.

    Raises:
        OSError: There is no gateway on the port.
    """
    environment: dict[str, Any] = served(port)["environment"]
    return environment


def served(port: int) -> dict[str, Any]:
    """Return a running gateway's endpoint, environment variables and clock rate.

    Raises:
        OSError: There is no gateway on the port.
    """
    url = f"http://127.0.0.1:{port}/_local_gateway/environment"
    with urllib.request.urlopen(url, timeout=10) as response:
        body: dict[str, Any] = json.load(response)
        return body


if __name__ == "__main__":
    run_command(main)
