"""The names of the DynamoDB tables."""

from typing import NamedTuple


class TableNames(NamedTuple):
    """The names of the tables, except that of rate limits, which its settings name."""

    sessions: str
    connections: str
    captions: str
