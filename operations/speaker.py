"""Creates a speaker in the user pool of a stage.

Cognito chooses a temporary password and emails it to the speaker. This command never shows it. An
emulator sends no email, and `make token` signs in any user of its pool.
"""

import re
import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from local_gateway import aws
from local_gateway.arguments import Parser
from local_gateway.command import run_command
from operations.running_emulation import STAGE, EmulationError, find_unless_another_is_named
from operations.stage_checks import check_credentials, check_stage
from operations.stage_outputs import get_outputs
from operations.terraform_stack import Stack, StackError

_ADDRESS: Final = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
"""The pattern of alarm_emails in terraform/variables.tf."""

MAX_ADDRESS_CHARACTERS: Final = 128
"""The longest user name. Source: AdminCreateUser, Amazon Cognito User Pools API Reference."""

ON_AWS: Final = """\
{email} is a speaker of {stage}. Cognito has emailed a temporary password to that address. The
sign-in page asks for a new password at the first sign-in.

To sign in from a command line instead, set a password and ask for a token:

  read -rs PASSWORD
  aws cognito-idp admin-set-user-password --region {region} --user-pool-id {pool_id} \\
    --username {quoted} --password "$PASSWORD" --permanent
  aws cognito-idp admin-initiate-auth --region {region} --user-pool-id {pool_id} \\
    --client-id {client_id} --auth-flow ADMIN_USER_PASSWORD_AUTH \\
    --auth-parameters "USERNAME="{quoted}",PASSWORD=$PASSWORD" \\
    --query AuthenticationResult.IdToken --output text"""

IN_EMULATOR: Final = """\
{email} is a speaker of {stage}. An emulator sends no email and needs no password:

  make -s token STAGE={stage} USERNAME={quoted}"""


class SpeakerError(Exception):
    """No speaker was created."""


@dataclass(frozen=True, slots=True)
class UserPool:
    """The user pool of a stage."""

    stage: str
    pool_id: str
    client_id: str
    cognito: Any

    @classmethod
    def of(cls, stage: str, outputs: Mapping[str, Any], cognito: Any) -> "UserPool":
        """Return the pool that a stage's outputs name."""
        return cls(stage, outputs["user_pool_id"], outputs["client_id"], cognito)

    @property
    def region(self) -> str:
        """The region, which is a part of the pool's ID."""
        return self.pool_id.partition("_")[0]


def main() -> int:
    """Create the speaker that the arguments name; return the exit code."""
    parser = Parser(prog="python -m operations.speaker", description=__doc__)
    parser.add_argument("stage")
    parser.add_argument("--email", required=True)
    options = parser.parse_args()
    try:
        check_address(options.email)
        pool = get_user_pool(options.stage)
        create(pool, options.email)
    except (SpeakerError, StackError, EmulationError) as error:
        print(f"speaker: {error}", file=sys.stderr)
        return 1
    print(instructions(pool, options.email))
    return 0


def check_address(email: str) -> None:
    """Check that a text looks like an email address.

    Raises:
        SpeakerError: It doesn't, or it is too long for Cognito.
    """
    if not _ADDRESS.fullmatch(email) or len(email) > MAX_ADDRESS_CHARACTERS:
        raise SpeakerError(f"{email!r} is not an email address; one looks like speaker@example.com")


def get_user_pool(stage: str) -> UserPool:
    """Return the user pool of a stage, on AWS or in the emulation that runs in this folder.

    Raises:
        EmulationError: The stage is `local`, and no emulation is running.
        StackError: The stage doesn't exist or isn't deployed, or AWS refuses the credentials.
    """
    stack = Stack(stage)
    check_stage(stack)
    running = find_unless_another_is_named() if stage == STAGE else None
    if running:
        cognito = aws.client("cognito-idp", running.environment["AWS_ENDPOINT_URL"])
        return UserPool.of(stage, running.outputs, cognito)
    check_credentials(stack)
    outputs = get_outputs(stack)
    region = outputs["user_pool_id"].partition("_")[0]
    return UserPool.of(stage, outputs, boto3.client("cognito-idp", region_name=region))


def create(pool: UserPool, email: str) -> None:
    """Create a user with a verified address, which a password reset needs.

    By default Cognito would send the temporary password by SMS. Source: AdminCreateUser, Amazon
    Cognito User Pools API Reference.

    Raises:
        SpeakerError: Cognito refuses the user, or can't be reached.
    """
    try:
        pool.cognito.admin_create_user(
            UserPoolId=pool.pool_id,
            Username=email,
            UserAttributes=[
                {"Name": "email", "Value": email},
                {"Name": "email_verified", "Value": "true"},
            ],
            DesiredDeliveryMediums=["EMAIL"],
        )
    except ClientError as error:
        raise SpeakerError(_reason(pool, email, error.response["Error"])) from None
    except BotoCoreError as error:
        raise SpeakerError(f"Cognito can't be reached: {error}") from None


def instructions(pool: UserPool, email: str) -> str:
    """Return the instructions for signing in."""
    return (IN_EMULATOR if pool.stage == STAGE else ON_AWS).format(
        email=email,
        quoted=shlex.quote(email),
        stage=pool.stage,
        pool_id=pool.pool_id,
        client_id=pool.client_id,
        region=pool.region,
    )


def _reason(pool: UserPool, email: str, refusal: Any) -> str:
    if refusal["Code"] == "UsernameExistsException":
        return f"{email} is already a user of {pool.stage}'s pool; nothing was changed"
    if refusal["Code"] == "AccessDeniedException":
        return f"these credentials lack cognito-idp:AdminCreateUser for {pool.pool_id}"
    return f"Cognito refuses {email}: {refusal['Code']}: {refusal['Message']}"


if __name__ == "__main__":
    run_command(main)
