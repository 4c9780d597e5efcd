"""The write that makes a connection a participant."""

from typing import Any, Final, NamedTuple

from chalicelib.aws.dynamodb import Item
from chalicelib.models import Participant
from chalicelib.store.items import ARRIVING, encode_participant
from chalicelib.store.table import Table

IS_FREE: Final = (
    "attribute_not_exists(sessionId) OR begins_with(targetLanguage, :arriving)"
    " OR (attribute_exists(leftAt) AND attribute_not_exists(supersededBy))"
)
"""The condition that a connection can become a participant. It needs FREE_VALUES.

The item of a superseded participant stays until its client can't repeat a refresh any more. An item
without a session only counts refused commands.
"""

FREE_VALUES: Final[Item] = {":arriving": {"S": ARRIVING}}


class Placement(NamedTuple):
    """Whether a connection has become a participant. If not, its existing participant, if any."""

    is_done: bool
    existing: Participant | None = None


def placement_write(table: Table, participant: Participant) -> dict[str, Any]:
    """Return the part of a transaction that makes a connection a participant."""
    return {
        "Put": {
            "TableName": table.name,
            "Item": encode_participant(participant),
            "ConditionExpression": IS_FREE,
            "ExpressionAttributeValues": FREE_VALUES,
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }
    }
