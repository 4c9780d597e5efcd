"""Prints a speaker's token of a running `make emulate`, and nothing else."""

import argparse
import json
import sys

from devserver.aws import sign_in
from scripts.emulate import RUNNING, STAGE


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("stage", choices=[STAGE])
    parser.add_argument("--username", default="speaker@example.com")
    username = parser.parse_args().username
    try:
        running = json.loads(RUNNING.read_text())
        tokens = sign_in(
            running["AWS_ENDPOINT_URL"],
            running["COGNITO_USER_POOL_ID"],
            running["COGNITO_CLIENT_ID"],
            username,
        )
    except FileNotFoundError:
        print("no emulation is running; start one: make emulate", file=sys.stderr)
        return 1
    print(tokens["IdToken"])
    return 0


if __name__ == "__main__":
    sys.exit(main())
