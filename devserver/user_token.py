"""Prints a token of the embedded Cognito for a user, and nothing else.

Asks the running local server where its AWS is.
"""

import json
import sys
import urllib.request
from http.client import HTTPException
from typing import Any

from botocore.exceptions import BotoCoreError

from devserver import arguments
from devserver.aws import SignInRefused, sign_in
from devserver.command import run_command


def main() -> int:
    parser = arguments.Parser(prog="python -m devserver.user_token", description=__doc__)
    parser.add_argument("--port", type=arguments.port, default=8000)
    parser.add_argument("--username", default="speaker@example.com")
    options = parser.parse_args()
    try:
        print(token(options.port, options.username))
    except NoToken as error:
        print(error, file=sys.stderr)
        return 1
    return 0


class NoToken(Exception):
    """There is no token. The message says why, and what to do."""


def token(port: int, username: str) -> str:
    """Return an ID token of a user. Raises: NoToken."""
    try:
        environment = served_environment(port)
    except (OSError, HTTPException, ValueError, KeyError) as error:
        raise NoToken(
            f"no local server answers on port {port}: {error}\nStart one: make local PORT={port}"
        ) from None
    if "COGNITO_CLIENT_ID" not in environment:
        raise NoToken(f"the local server on port {port} has no embedded AWS, and so no users")
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
            f"the embedded AWS of the local server on port {port} can't be reached; "
            f"start the server again: make local PORT={port}"
        ) from None
    return tokens["IdToken"]


def served_environment(port: int) -> dict[str, Any]:
    """Ask a running local server for the environment of its embedded AWS. Raises: OSError."""
    environment: dict[str, Any] = served(port)["environment"]
    return environment


def served(port: int) -> dict[str, Any]:
    """Ask a running local server for its environment and clock rate. Raises: OSError."""
    url = f"http://127.0.0.1:{port}/_devserver/environment"
    with urllib.request.urlopen(url, timeout=10) as response:
        held: dict[str, Any] = json.load(response)
        return held


if __name__ == "__main__":
    run_command(main)
