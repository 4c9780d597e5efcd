"""ministack's WebSocket APIs, with the probe's stack applied to it by Terraform."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from typing import Final

from conformance.targets import base
from conformance.targets.base import Api, Deployment, TargetError
from conformance.targets.stack import applied_stack, find_environment, say
from local_gateway.aws import REGION, EmbeddedAwsError, ministack

NO_LIMIT: Final = "it has no such limit"


class Ministack:
    """ministack."""

    name = "ministack"

    @contextmanager
    def deployed(self) -> Iterator[Deployment]:
        """Start ministack, and apply the probe's stack to it.

        Raises:
            TargetError: ministack doesn't start, or the stack can't be applied.
        """
        say("starting ministack")
        try:
            with ministack() as endpoint_url, _applied(endpoint_url) as deployment:
                yield deployment
        except EmbeddedAwsError as error:
            raise TargetError(str(error)) from None


@contextmanager
def _applied(endpoint_url: str) -> Iterator[Deployment]:
    environment = find_environment(
        AWS_ENDPOINT_URL=endpoint_url,
        AWS_ACCESS_KEY_ID="local",
        AWS_SECRET_ACCESS_KEY="local",  # noqa: S106
        AWS_REGION=REGION,
        AWS_CONFIG_FILE=os.devnull,
        AWS_SHARED_CREDENTIALS_FILE=os.devnull,
        AWS_PROFILE="",  # The empty files contain no profile.
        AWS_DEFAULT_PROFILE="",
    )
    # The path of ministack's APIs. Source: ministack, "API Gateway".
    path = f"{endpoint_url}/_aws/execute-api"
    with applied_stack(environment, f"{path}/{{apiId}}/{{stage}}") as stack:
        urls = {name: f"{path}/{id_}/{stack.stage}" for name, id_ in stack.api_ids.items()}
        yield Deployment(
            version=version("ministack"),
            apis={name: Api(it.replace("http", "ws", 1), it) for name, it in urls.items()},
            records_table=stack.records_table,
            missing={base.SHORT_IDLE: NO_LIMIT, base.SHORT_LIFETIME: NO_LIMIT},
            client_settings={
                "region_name": REGION,
                "aws_access_key_id": "local",
                "aws_secret_access_key": "local",
            },
            dynamodb_url=endpoint_url,
        )


TARGET: Final = Ministack()
