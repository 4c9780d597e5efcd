"""Claims of asynchronous events, which Lambda may deliver more than once."""

from collections.abc import Callable
from typing import Final

from chalicelib.store.items import new_token, number
from chalicelib.store.table import Table

EVENT: Final = "#event-"
"""The prefix of a claim's key in the Connections table, which no connection ID has."""

EVENT_CLAIM_SECONDS: Final = 600
"""How long a claim stays. Lambda keeps an event for 60 s. Source: terraform/modules/app/main.tf."""


class EventClaimStore:
    """Stores one item per event in the Connections table.

    A participant's item can't hold the claim, because it can be replaced or deleted.
    """

    def __init__(self, table: Table, clock: Callable[[], float]) -> None:
        self._table = table
        self._clock = clock

    def claim(self, event_id: str) -> bool:
        """Return whether this is the first claim of an event, even if its write is sent twice."""
        return self._table.try_update(
            f"{EVENT}{event_id}",
            "SET eventClaim = :claim, #ttl = :ttl",
            "attribute_not_exists(eventClaim) OR eventClaim = :claim",
            {":claim": new_token(), ":ttl": number(int(self._clock()) + EVENT_CLAIM_SECONDS)},
            {"#ttl": "ttl"},
        )
