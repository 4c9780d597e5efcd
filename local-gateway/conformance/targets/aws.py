"""AWS itself, with the probe's stack in the account of your credentials."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import boto3
from botocore.exceptions import BotoCoreError, ClientError
from websockets.exceptions import InvalidHandshake

from conformance.targets import base
from conformance.targets.base import Api, Deployment, TargetError
from conformance.targets.stack import Stack, applied_stack, find_environment, say
from conformance.variant import Variant

PATIENCE_SECONDS: Final = 30
"""Longer than a cold start."""

USABLE_SECONDS: Final = 120
"""How long the functions' roles may take to get their permissions."""


class Aws:
    """AWS."""

    name = "aws"

    @contextmanager
    def deployed(self) -> Iterator[Deployment]:
        """Apply the probe's stack to the account of your credentials, after you confirm it.

        Raises:
            TargetError: There are no credentials or no region, you don't confirm, or the stack
                can't be applied.
        """
        try:
            region = find_region()
            account = find_account(region)
        except (BotoCoreError, ClientError) as error:
            raise TargetError(f"AWS doesn't accept your credentials: {error}") from None
        confirm(account, region)
        with applied_stack(find_environment(AWS_REGION=region)) as stack:
            deployment = _deployment(stack, region)
            _wait_until_usable(Variant(deployment.apis[base.TWO_WAY], deployment))
            yield deployment


def find_region() -> str:
    """Return the region of AWS_REGION, of AWS_DEFAULT_REGION, or of the profile.

    boto3 doesn't read AWS_REGION, but the AWS CLI and Terraform do.

    Raises:
        TargetError: There is no region.
        BotoCoreError: There is no such profile.
    """
    region = os.environ.get("AWS_REGION") or boto3.session.Session().region_name
    if not region:
        raise TargetError("no region; set AWS_REGION")
    return region


def find_account(region: str) -> str:
    """Return the ID of the account of your credentials.

    Raises:
        BotoCoreError: There are no credentials, or AWS can't be reached.
        ClientError: AWS doesn't accept them.
    """
    account: str = boto3.client("sts", region_name=region).get_caller_identity()["Account"]
    return account


def confirm(account: str, region: str) -> None:
    """Ask for the account's ID, unless the environment variable CONFIRM contains it.

    Raises:
        TargetError: The answer is another one.
    """
    say(f"this creates resources in account {account}, region {region}, and removes them")
    answer = os.environ.get("CONFIRM")
    if answer is None:
        try:
            answer = input("Type the account's ID to continue: ")
        except EOFError:
            answer = ""
    if answer.strip() != account:
        raise TargetError(f"not confirmed; type the account's ID, or set CONFIRM={account}")


def _wait_until_usable(variant: Variant) -> None:
    """Wait until the functions' new roles have their permissions.

    IAM's changes take effect after some seconds. Source: "Troubleshoot IAM", IAM User Guide.
    """
    deadline = time.monotonic() + USABLE_SECONDS
    while not _is_usable(variant):
        if time.monotonic() > deadline:
            raise TargetError("the probe doesn't work; see the logs of its functions")
        time.sleep(1)


def _is_usable(variant: Variant) -> bool:
    """Return whether all functions work: a child and a message can post, and the close arrives."""
    try:
        with variant.connect(connect="child") as client:
            client.send("post", body="usable")
            frames = {client.receive(), client.receive()}
            connection_id = client.connection_id
    except (InvalidHandshake, OSError):
        return False
    return frames == {"from the child", "usable"} and bool(
        variant.records(connection_id, "$disconnect")
    )


def _deployment(stack: Stack, region: str) -> Deployment:
    hosts = {
        name: f"{api_id}.execute-api.{region}.amazonaws.com/{stack.stage}"
        for name, api_id in stack.api_ids.items()
    }
    return Deployment(
        version=region,
        apis={name: Api(f"wss://{it}", f"https://{it}") for name, it in hosts.items()},
        records_table=stack.records_table,
        missing={
            base.SHORT_IDLE: "it takes 10 minutes",
            base.SHORT_LIFETIME: "it takes 2 hours",
        },
        client_settings={"region_name": region},
        patience_seconds=PATIENCE_SECONDS,
    )


TARGET: Final = Aws()
