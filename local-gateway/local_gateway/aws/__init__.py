"""The embedded AWS: ministack in a child process, with a project's tables, users and stand-ins.

It needs the packages of the extra `aws`.
"""

from local_gateway.aws.embedded import embedded_aws
from local_gateway.aws.ministack import REGION, EmbeddedAwsError, client, ministack
from local_gateway.aws.tables import create_tables, table_request
from local_gateway.aws.user_pool import (
    USER_PASSWORD,
    SignInRefused,
    create_app_client,
    create_user_pool,
    sign_in,
)

__all__ = [
    "REGION",
    "USER_PASSWORD",
    "EmbeddedAwsError",
    "SignInRefused",
    "client",
    "create_app_client",
    "create_tables",
    "create_user_pool",
    "embedded_aws",
    "ministack",
    "sign_in",
    "table_request",
]
