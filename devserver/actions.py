"""The action that a client asks for, for the log. Pure.

A client can send anything, and a log must not repeat a secret. An action is shown if it is a short
name of letters and underscores: no token, connection ID, address or session ID is one.
"""

import json
import re
from typing import Any, Final

from devserver.events import Pairs

KEY: Final = "action"
"""Source: Chalice's route selection expression, `$request.body.action`."""

_NAME = re.compile(r"[A-Za-z][A-Za-z_]{0,31}")


def in_message(body: str) -> str | None:
    """Return the action of a message; None if it has none that can be shown."""
    try:
        message = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return _shown(message.get(KEY)) if isinstance(message, dict) else None


def in_query(query: Pairs) -> str | None:
    """Return the action of a query string, likewise. The last of several counts, as on AWS."""
    return _shown(dict(query).get(KEY))


def _shown(action: Any) -> str | None:
    return action if isinstance(action, str) and _NAME.fullmatch(action) else None
