"""AWS itself, with the probe's stack in the account of your credentials."""

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
        """Apply the probe's stack to the account of your credentials.

        Raises:
            TargetError: There are no credentials or no region, or the stack can't be applied.
        """
        region = boto3.session.Session().region_name
        if region is None:
            raise TargetError("no region; set AWS_REGION")
        try:
            account = boto3.client("sts", region_name=region).get_caller_identity()["Account"]
        except (BotoCoreError, ClientError) as error:
            raise TargetError(f"AWS doesn't accept your credentials: {error}") from None
        say(f"creating resources in account {account}, region {region}, removed at the end")
        with applied_stack(find_environment(AWS_REGION=region)) as stack:
            deployment = _deployment(stack, region)
            _wait_until_usable(Variant(deployment.apis[base.TWO_WAY], deployment))
            yield deployment


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
