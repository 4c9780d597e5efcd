"""The environment variables with which the application's code reaches a stage.

A stage is on AWS, in an emulator, or on the local server. Nothing here changes a stage.
"""

import os
from collections.abc import Mapping
from typing import Final

import boto3
from botocore.exceptions import NoCredentialsError

from local_gateway import aws
from local_gateway.user_token import served_environment
from operations import emulate, running_emulation
from operations.credentials import PARTITIONS
from operations.running_emulation import EmulationError, RunningEmulation
from operations.stage_outputs import read_outputs
from operations.terraform_stack import Stack

OUTPUTS: Final = ("alarm_topic_arn", "api_id", "pipeline_function", "table_names")
"""The Terraform outputs that locate a stage on AWS."""

_NOT_CALLED: Final = {"OUTCOME_FUNCTION": "none"}
"""Required settings that only the functions use."""

_OTHER_CREDENTIALS: Final = ("AWS_PROFILE", "AWS_SESSION_TOKEN")


class StageError(Exception):
    """The stage can't be found."""


def enter(environment: Mapping[str, str]) -> None:
    """Add an environment to this process's own. Its credentials replace all others."""
    os.environ.update(environment)
    if "AWS_ACCESS_KEY_ID" in environment:
        for name in _OTHER_CREDENTIALS:
            os.environ.pop(name, None)


def enter_credentials() -> None:
    """Copy the credentials that boto3 finds into the variables that the application reads.

    They aren't refreshed, because a command ends long before they expire.

    Raises:
        BotoCoreError: There are no credentials, or they can't be loaded.
        ClientError: AWS refuses the role to assume.
    """
    found = boto3.Session().get_credentials()
    if found is None:
        raise NoCredentialsError
    frozen = found.get_frozen_credentials()
    os.environ["AWS_ACCESS_KEY_ID"] = frozen.access_key or ""
    os.environ["AWS_SECRET_ACCESS_KEY"] = frozen.secret_key or ""
    if frozen.token:
        os.environ["AWS_SESSION_TOKEN"] = frozen.token


def get_environment(stage: str) -> dict[str, str]:
    """Return the environment of a deployed stage.

    The stage `local` is in the running emulation, unless AWS_ENDPOINT_URL names another one.

    Raises:
        StageError: No emulation is running, or as `on_aws`.
        StackError: As `on_aws`.
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
    """Return the environment of a stage on AWS, without credentials.

    The URL of @connections is execute-api's own, because a custom domain doesn't serve it. The
    region comes from an ARN, because no other output always contains it.

    Raises:
        StageError: The stage isn't deployed, or its partition isn't supported.
        StackError: The outputs can't be read.
    """
    outputs = read_outputs(stack)
    missing = [name for name in OUTPUTS if name not in outputs]
    if missing:
        raise StageError(
            f"{stack.stage} is not deployed, because it has no output {missing[0]}; deploy it: "
            f"make deploy STAGE={stack.stage}"
        )
    partition, _, region = outputs["alarm_topic_arn"].split(":")[1:4]
    if partition not in PARTITIONS:
        raise StageError(f"{stack.stage} is in the partition {partition}, which isn't supported")
    return {
        **_NOT_CALLED,
        "AWS_DEFAULT_REGION": region,
        "AWS_REGION": region,
        "SESSIONS_TABLE": outputs["table_names"]["sessions"],
        "CONNECTIONS_TABLE": outputs["table_names"]["connections"],
        "CAPTIONS_TABLE": outputs["table_names"]["captions"],
        "PIPELINE_FUNCTION": outputs["pipeline_function"],
        "CONNECTIONS_URL": _connections_url(outputs["api_id"], region, stack.stage),
    }


def in_emulation(running: RunningEmulation) -> dict[str, str]:
    """Return the environment of a running `make emulate`, with the emulator's credentials."""
    return {
        **_NOT_CALLED,
        **emulate.emulator_environment(running.environment["AWS_ENDPOINT_URL"]),
        **running.environment,
        "AWS_DEFAULT_REGION": aws.REGION,
        "PIPELINE_FUNCTION": running.outputs["pipeline_function"],
        "CONNECTIONS_URL": _connections_url(
            running.outputs["api_id"], aws.REGION, running_emulation.STAGE
        ),
    }


def on_local_server(port: int) -> dict[str, str]:
    """Return the environment of a running `make local`.

    Raises:
        StageError: No local server answers on the port.
    """
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
