"""Fixed IDs for the local user pool and its app client.

With the same IDs at every start, pages and clients that are configured with them keep working.
ministack generates random IDs and has no setting for fixed ones, so this module replaces its
generator functions, inside ministack's process.
"""

import os
from collections.abc import Callable
from typing import Final

FIXED_VARIABLE: Final = "LOCAL_GATEWAY_FIXED_COGNITO_IDS"
"""The environment variable that requests the fixed IDs in ministack's process."""

USER_POOL_ID: Final = "us-east-1_LocalPool"
CLIENT_ID: Final = "1localappclient1localappcl"


def fix_ids_if_requested() -> None:
    """Give the fixed IDs to the first pool and the first client that are created."""
    if os.environ.get(FIXED_VARIABLE):
        from ministack.services import cognito  # type: ignore[import-untyped]

        cognito._pool_id = _first(USER_POOL_ID, cognito._pool_id)
        cognito._client_id = _first(CLIENT_ID, cognito._client_id)


def _first(fixed: str, make_id: Callable[[], str]) -> Callable[[], str]:
    unused = [fixed]
    return lambda: unused.pop() if unused else make_id()
