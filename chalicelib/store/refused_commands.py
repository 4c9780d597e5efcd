"""The number of refused commands in a row, on the connections' items."""

from collections.abc import Callable

from chalicelib.models import CONNECTION_RECORD_SECONDS
from chalicelib.store.items import number, parse_refusals
from chalicelib.store.table import Table


class RefusedCommandStore:
    """Counts refused commands, including those of connections that aren't participants."""

    def __init__(self, table: Table, clock: Callable[[], float]) -> None:
        self._table = table
        self._clock = clock

    def count(self, connection_id: str) -> int:
        """Count a refused command, and return how many there are in a row."""
        item = self._table.update(
            connection_id,
            "SET #ttl = if_not_exists(#ttl, :ttl) ADD refusals :one",
            names={"#ttl": "ttl"},
            values={
                ":ttl": number(int(self._clock()) + CONNECTION_RECORD_SECONDS),
                ":one": number(1),
            },
            returning="ALL_NEW",
            is_repeatable=False,
        )
        return parse_refusals(item)

    def reset(self, connection_id: str) -> None:
        """Reset the number, because a command has succeeded."""
        self._table.try_update(connection_id, "REMOVE refusals", "attribute_exists(refusals)")
