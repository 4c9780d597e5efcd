"""The embedded AWS of a Chalice project."""

import os
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from botocore.exceptions import BotoCoreError, ClientError

from local_gateway import cognito_ids, page_guard, public_buckets, stand_ins
from local_gateway.aws.buckets import create_buckets
from local_gateway.aws.ministack import REGION, EmbeddedAwsError, OnExit, ministack
from local_gateway.aws.tables import create_tables
from local_gateway.aws.user_pool import app_client_request, create_user_pool
from local_gateway.aws_options import AwsOptions

_OTHER_CREDENTIALS: Final = ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ROLE_ARN")


@contextmanager
def embedded_aws(
    project_dir: Path,
    prefix: str,
    options: AwsOptions,
    fault_seed: int = 0,
    on_exit: OnExit | None = None,
    page_origins: Collection[str] = (),
) -> Iterator[dict[str, str]]:
    """Run a new embedded AWS for a Chalice project.

    Variables for other AWS credentials are removed from this process's environment.

    Args:
        project_dir: The project's folder, from which stand-ins are imported.
        prefix: The first part of the resources' names.
        options: The resources and stand-ins.
        fault_seed: Random seed of the faults.
        on_exit: Receives the cause if ministack exits on its own.
        page_origins: Origins of the web pages that can send requests. Others are refused.

    Yields:
        The environment variables to reach it: the endpoint, credentials that are valid nowhere
        else, the table names as NAME_TABLE, the buckets as NAME_BUCKET and NAME_URL, the user pool
        and its app client, and the endpoints of the stand-ins.

    Raises:
        EmbeddedAwsError: ministack didn't start, or can't create a resource.
    """
    for name in _OTHER_CREDENTIALS:
        os.environ.pop(name, None)
    settings = {
        page_guard.ORIGINS_VARIABLE: ",".join(page_origins),
        cognito_ids.FIXED_VARIABLE: "1",
    }
    buckets = {name: public_buckets.full_name(prefix, name) for name in options.buckets}
    if buckets:
        settings[public_buckets.VARIABLE] = ",".join(buckets.values())
    settings |= stand_ins.settings(project_dir, options.stand_ins)
    with ministack(fault_seed, on_exit, port=0, **settings) as endpoint_url:
        environment = {
            "AWS_ENDPOINT_URL": endpoint_url,
            "AWS_ACCESS_KEY_ID": "local",
            "AWS_SECRET_ACCESS_KEY": "local",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_DEFAULT_REGION": REGION,
            "AWS_REGION": REGION,
        }
        with _explained("the tables"):
            environment |= create_tables(endpoint_url, options.tables, prefix)
        with _explained("the buckets"):
            environment |= create_buckets(endpoint_url, buckets)
        if options.user_pool is not None:
            with _explained("the user pool"):
                app_client = app_client_request(options.user_pool, page_origins)
                environment |= create_user_pool(endpoint_url, prefix, app_client)
        yield environment | stand_ins.endpoints(endpoint_url, options.stand_ins)


@contextmanager
def _explained(resources: str) -> Iterator[None]:
    """Turn the errors that a description of resources can cause into an EmbeddedAwsError."""
    try:
        yield
    except (BotoCoreError, ClientError) as error:
        raise EmbeddedAwsError(f"{resources} can't be created: {error}") from None
