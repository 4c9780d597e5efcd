"""Checks the AWS credentials of the environment before Terraform uses them."""

from typing import Any, Final

import botocore.session
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    NoCredentialsError,
    UnknownRegionError,
)

PARTITIONS: Final = ("aws", "aws-us-gov")
"""The partitions with endpoints in amazonaws.com."""

ANY_REGION: Final = "us-east-1"

_QUICK: Final = Config(connect_timeout=3, read_timeout=5, retries={"total_max_attempts": 2})


class CredentialsError(Exception):
    """The credentials can't be used, or not in the region."""


def check(region: str) -> None:
    """Call GetCallerIdentity with the credentials in a region.

    The call takes a few seconds at most and needs no permission. If botocore doesn't know the
    region, only the credentials are checked, and Terraform refuses the region with a reason.
    Source: GetCallerIdentity, AWS Security Token Service API Reference.

    Raises:
        CredentialsError: There are no credentials, AWS refuses them or can't be reached, or the
            region's partition isn't supported.
    """
    session = botocore.session.get_session()
    try:
        known_region = _check_partition(session, region)
        sts: Any = session.create_client("sts", region_name=known_region, config=_QUICK)
        sts.get_caller_identity()
    except NoCredentialsError:
        raise CredentialsError(
            "there are no AWS credentials; sign in (aws sso login), or set AWS_PROFILE, or "
            "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        ) from None
    except ClientError as error:
        raise CredentialsError(
            f"AWS refuses the credentials ({error.response['Error']['Code']}); sign in again, or "
            "use others"
        ) from None
    except BotoCoreError as error:
        reason = " ".join(str(error).split()).rstrip(".")
        raise CredentialsError(f"the AWS credentials can't be checked: {reason}") from None


def _check_partition(session: botocore.session.Session, region: str) -> str:
    try:
        partition = session.get_partition_for_region(region)
    except UnknownRegionError:
        return ANY_REGION
    if partition not in PARTITIONS:
        raise CredentialsError(
            f"{region} is in the partition {partition}; the stack supports the regions of "
            f"{' and '.join(PARTITIONS)}"
        )
    return region
