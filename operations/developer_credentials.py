"""Prints your AWS credentials and Region, for the stand-ins of `INTERPRETER=aws make local`."""

import sys

import boto3
from botocore.exceptions import BotoCoreError

from chalicelib.aws.signing import Credentials
from local_gateway.arguments import Parser
from local_gateway.command import run_command
from operations.credentials import CredentialsError, check
from operations.stand_ins import developer


def main() -> int:
    """Print the credentials; return the exit code."""
    Parser(description=__doc__).parse_args()
    try:
        print(find())
    except CredentialsError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def find() -> str:
    """Return the value of the stand-ins' variable, by the credentials that boto3 finds.

    Raises:
        CredentialsError: There are no credentials or no Region, or AWS refuses the credentials.
    """
    try:
        session = boto3.Session()
        region = session.region_name
        if not region:
            raise CredentialsError("there is no AWS Region; set AWS_DEFAULT_REGION or AWS_PROFILE")
        check(region)
        found = session.get_credentials()
        keys = found.get_frozen_credentials() if found else None
    except BotoCoreError as error:
        raise CredentialsError(" ".join(str(error).split())) from None
    if keys is None or not (keys.access_key and keys.secret_key):
        raise CredentialsError("there are no AWS credentials")
    return developer.encode(Credentials(keys.access_key, keys.secret_key, keys.token), region)


if __name__ == "__main__":
    run_command(main)
