"""Prints only a token, for a speaker of a running `make emulate`."""

import sys

from local_gateway.arguments import Parser
from local_gateway.aws import SignInRefused, sign_in
from local_gateway.command import run_command
from operations import running_emulation
from operations.running_emulation import STAGE, EmulationError


def main() -> int:
    """Print the token; return the exit code."""
    parser = Parser(description=__doc__)
    parser.add_argument("stage", choices=[STAGE])
    parser.add_argument("--username", default="speaker@example.com")
    username = parser.parse_args().username
    try:
        running = running_emulation.get().environment
        tokens = sign_in(
            running["AWS_ENDPOINT_URL"],
            running["COGNITO_USER_POOL_ID"],
            running["COGNITO_CLIENT_ID"],
            username,
        )
    except EmulationError as error:
        print(error, file=sys.stderr)
        return 1
    except SignInRefused as refusal:
        print(f"no token for {username!r}: {refusal}", file=sys.stderr)
        return 1
    print(tokens["IdToken"])
    return 0


if __name__ == "__main__":
    run_command(main)
