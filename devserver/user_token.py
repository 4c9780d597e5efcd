"""Prints a token of the embedded Cognito for a user, and nothing else.

Asks the running local server where its AWS is.
"""

import json
import sys
import urllib.request
from typing import Any

from devserver import arguments
from devserver.aws import sign_in


def main() -> int:
    parser = arguments.Parser(prog="python -m devserver.user_token", description=__doc__)
    parser.add_argument("--port", type=arguments.port, default=8000)
    parser.add_argument("--username", default="speaker@example.com")
    options = parser.parse_args()
    try:
        print(token(options.port, options.username))
    except OSError as error:
        message = f"no local server answers on port {options.port}: {error}"
        print(f"{message}\nStart one: make local PORT={options.port}", file=sys.stderr)
        return 1
    return 0


def token(port: int, username: str) -> str:
    """Raises: OSError if no local server answers on that port of this machine."""
    environment = served_environment(port)
    tokens = sign_in(
        environment["AWS_ENDPOINT_URL"],
        environment["COGNITO_USER_POOL_ID"],
        environment["COGNITO_CLIENT_ID"],
        username,
    )
    return tokens["IdToken"]


def served_environment(port: int) -> dict[str, Any]:
    """Ask a running local server for the environment of its embedded AWS. Raises: OSError."""
    url = f"http://127.0.0.1:{port}/_devserver/environment"
    with urllib.request.urlopen(url, timeout=10) as response:
        environment: dict[str, Any] = json.load(response)["environment"]
        return environment


if __name__ == "__main__":
    sys.exit(main())
