"""The names of the DynamoDB tables."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TableNames:
    """The names of the tables, except that of rate limits, which its settings name."""

    sessions: str
    connections: str
    captions: str
