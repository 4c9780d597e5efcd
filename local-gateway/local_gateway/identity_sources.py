"""An authorizer's identity sources, the values that a handshake must contain.

Source: API Gateway API reference, CreateAuthorizer, `identitySource`.
"""

import re
from dataclasses import dataclass
from typing import Final

from local_gateway.events import Handshake

_EXPRESSION: Final = re.compile(r"route\.request\.(header|querystring)\.([^.\s]+)")


class InvalidIdentitySource(Exception):
    """The expression isn't valid or isn't supported. The message explains why."""


@dataclass(frozen=True, slots=True)
class IdentitySource:
    """A header or a query string parameter."""

    is_header: bool
    name: str

    def is_in(self, handshake: Handshake) -> bool:
        """Return whether the handshake contains a value that isn't empty."""
        if self.is_header:
            name = self.name.lower()
            return any(value for sent, value in handshake.headers if sent.lower() == name)
        return any(value for sent, value in handshake.query if sent == self.name)


def parse_identity_source(expression: object) -> IdentitySource:
    """Parse an expression such as `route.request.querystring.token`.

    Raises:
        InvalidIdentitySource: The expression isn't valid, or refers to a stage variable or the
            context, which the gateway doesn't support.
    """
    match = _EXPRESSION.fullmatch(expression) if isinstance(expression, str) else None
    if match is None:
        raise InvalidIdentitySource(
            f"{expression!r} must be route.request.header.NAME or route.request.querystring.NAME"
        )
    return IdentitySource(match[1] == "header", match[2])
