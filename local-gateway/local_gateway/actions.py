"""The `action` of a client's message or query string, in a form that is safe to log.

A client can send anything, and the log must not contain secrets. An action is logged only if it is
a short name of letters and underscores, which no token, connection ID or address is.
"""

import json
import re
from typing import Any, Final

from local_gateway.events import Pairs

KEY: Final = "action"
"""Source: Chalice's route selection expression, `$request.body.action`."""

_NAME = re.compile(r"[A-Za-z][A-Za-z_]{0,31}")


def in_message(body: str) -> str | None:
    """Return the action of a message; None if it has no action or one that must not be logged."""
    try:
        message = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return _loggable(message.get(KEY)) if isinstance(message, dict) else None


def in_query(query: Pairs) -> str | None:
    """Return the action of a query string; None if it has no action or one that must not be logged.

    If the parameter is repeated, the last one counts, as on AWS.
    """
    return _loggable(dict(query).get(KEY))


def _loggable(action: Any) -> str | None:
    return action if isinstance(action, str) and _NAME.fullmatch(action) else None
