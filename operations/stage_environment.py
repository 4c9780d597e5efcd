"""What the environment has to say for wiring to reach a stage: on AWS, in an emulator, or here.

A stage on AWS is where its Terraform outputs say. Nothing here changes a stage.
"""

import os
from collections.abc import Mapping
from typing import Final

import boto3
from botocore.exceptions import NoCredentialsError

from devserver import aws
from devserver.user_token import served_environment
from operations import emulate, running_emulation
from operations.credentials import PARTITIONS
from operations.running_emulation import EmulationError, RunningEmulation
from operations.stage_outputs import read_outputs
from operations.terraform_stack import Stack

OUTPUTS: Final = ("alarm_topic_arn", "api_id", "table_names")

_NOT_CALLED: Final = {"OUTCOME_FUNCTION": "none"}
"""What the settings ask for, and only functions need."""

_OTHER_CREDENTIALS: Final = ("AWS_PROFILE", "AWS_SESSION_TOKEN")


class StageError(Exception):
    """The stage cannot be found; the message says why."""


def enter(environment: Mapping[str, str]) -> None:
    """Make it this process's own. Where it brings credentials, no others are left."""
    os.environ.update(environment)
    if "AWS_ACCESS_KEY_ID" in environment:
        for name in _OTHER_CREDENTIALS:
            os.environ.pop(name, None)


def enter_credentials() -> None:
    """Put the credentials that boto3 finds where the application looks for them.

    Frozen: a command takes less time than they last.

    Raises: BotoCoreError, also if there are none; ClientError.
    """
    found = boto3.Session().get_credentials()
    if found is None:
        raise NoCredentialsError
    frozen = found.get_frozen_credentials()
    os.environ["AWS_ACCESS_KEY_ID"] = frozen.access_key or ""
    os.environ["AWS_SECRET_ACCESS_KEY"] = frozen.secret_key or ""
    if frozen.token:
        os.environ["AWS_SESSION_TOKEN"] = frozen.token


def find(stage: str) -> dict[str, str]:
    """Find a stage: `local` in the running emulation, unless AWS_ENDPOINT_URL names another.

    Raises: StageError, StackError.
    """
    if stage == running_emulation.STAGE:
        try:
            running = running_emulation.find_unless_another_is_named()
        except EmulationError as error:
            raise StageError(str(error)) from None
        if running:
            return in_emulation(running)
    return on_aws(Stack(stage))


def on_aws(stack: Stack) -> dict[str, str]:
    """Return where a stage's outputs say that it is; the credentials are whoever's runs this.

    The URL of @connections is execute-api's own, also where the stage has a domain of its own.
    An ARN is the one output that always names the region.

    Raises: StageError, StackError.
    """
    outputs = read_outputs(stack)
    missing = [name for name in OUTPUTS if name not in outputs]
    if missing:
        raise StageError(
            f"{stack.stage} is not deployed, for it has no output {missing[0]}: "
            f"make deploy STAGE={stack.stage}"
        )
    partition, _, region = outputs["alarm_topic_arn"].split(":")[1:4]
    if partition not in PARTITIONS:
        raise StageError(f"{stack.stage} is in the partition {partition}, which is not supported")
    return {
        **_NOT_CALLED,
        "AWS_DEFAULT_REGION": region,
        "AWS_REGION": region,
        "SESSIONS_TABLE": outputs["table_names"]["sessions"],
        "CONNECTIONS_TABLE": outputs["table_names"]["connections"],
        "CONNECTIONS_URL": _connections_url(outputs["api_id"], region, stack.stage),
    }


def in_emulation(running: RunningEmulation) -> dict[str, str]:
    """Return where the stack of a running `make emulate` is, as it has said itself.

    The credentials are the emulator's own.
    """
    return {
        **_NOT_CALLED,
        **emulate.emulator_environment(running.environment["AWS_ENDPOINT_URL"]),
        **running.environment,
        "AWS_DEFAULT_REGION": aws.REGION,
        "CONNECTIONS_URL": _connections_url(
            running.outputs["api_id"], aws.REGION, running_emulation.STAGE
        ),
    }


def on_local_server(port: int) -> dict[str, str]:
    """Return where the AWS of a running `make local` is. Raises: StageError."""
    try:
        environment = served_environment(port)
    except (OSError, ValueError, KeyError):
        raise StageError(
            f"no local server answers on port {port}; start one: make local PORT={port}"
        ) from None
    own = {"AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI": f"http://127.0.0.1:{port}/local"}
    return {**_NOT_CALLED, **environment, **own}


def _connections_url(api_id: str, region: str, stage: str) -> str:
    return f"https://{api_id}.execute-api.{region}.amazonaws.com/{stage}"
