"""Gives the local user pool and its app client the same IDs at every start.

Pages and clients that are set up with them keep working. ministack makes random IDs and has no
setting for others, so this replaces the functions that make them, in ministack's process.
"""

import os
from collections.abc import Callable
from typing import Final

FIXED_VARIABLE: Final = "DEVSERVER_FIXED_COGNITO_IDS"
"""Set in ministack's environment, it asks for the fixed IDs."""

USER_POOL_ID: Final = "us-east-1_LocalPool"
CLIENT_ID: Final = "1localappclient1localappcl"


def fix_if_asked() -> None:
    """Give the first pool and the first client that are created the fixed IDs."""
    if os.environ.get(FIXED_VARIABLE):
        from ministack.services import cognito  # type: ignore[import-untyped]

        cognito._pool_id = _first(USER_POOL_ID, cognito._pool_id)
        cognito._client_id = _first(CLIENT_ID, cognito._client_id)


def _first(fixed: str, make_id: Callable[[], str]) -> Callable[[], str]:
    unused = [fixed]
    return lambda: unused.pop() if unused else make_id()
