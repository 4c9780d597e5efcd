"""The writes with which a listener's refresh passes its seat to a new connection."""

from collections.abc import Callable
from typing import Any, NamedTuple

from chalicelib.aws.dynamodb import TransactionCancelled
from chalicelib.models import IN_FLIGHT_SECONDS, SUPERSEDED_RECORD_SECONDS, Participant, Role
from chalicelib.store.items import find_participant, new_token, number
from chalicelib.store.placements import placement_write
from chalicelib.store.table import Table


class HandOver(NamedTuple):
    """Whether a seat was handed over. If not, the current items of both connections, if any."""

    is_done: bool
    old: Participant | None = None
    new: Participant | None = None

    def was_done_before(self, new_id: str) -> bool:
        """Return whether an earlier hand-over superseded the old connection by the new one."""
        return self.old is not None and self.old.superseded_by == new_id


class HandOverStore:
    """Writes the hand-overs of listeners. It never changes the counts of their sessions."""

    def __init__(self, table: Table, clock: Callable[[], float]) -> None:
        self._table = table
        self._clock = clock

    def hand_over(self, old: Participant, new: Participant) -> HandOver:
        """Supersede a listener by a new connection of the same client, in one transaction.

        The old connection may be open or may have left. Nothing changes if the old participant
        isn't this listener any more, was superseded or has changed its language since `old` was
        read, or if the new connection is a participant already.
        """
        expires_at_seconds = int(self._clock()) + SUPERSEDED_RECORD_SECONDS
        if old.is_present:
            state = "attribute_not_exists(leftAt) AND targetLanguage = :language"
            values = {":language": {"S": old.target_language or ""}}
        else:
            was_admitted = "(attribute_exists(arrival) OR attribute_exists(listeningSince))"
            state, values = f"attribute_exists(leftAt) AND {was_admitted}", {}
        supersede: dict[str, Any] = {
            "Update": {
                "TableName": self._table.name,
                "Key": self._table.key(old.connection_id),
                "UpdateExpression": "SET supersededBy = :new, #ttl = :ttl REMOVE targetLanguage",
                "ConditionExpression": "sessionId = :session AND #role = :listener"
                f" AND attribute_not_exists(supersededBy) AND {state}",
                "ExpressionAttributeNames": {"#role": "role", "#ttl": "ttl"},
                "ExpressionAttributeValues": {
                    ":new": {"S": new.connection_id},
                    ":session": {"S": new.session_id},
                    ":listener": {"S": Role.LISTENER},
                    ":ttl": number(expires_at_seconds),
                    **values,
                },
                "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
            }
        }
        try:
            self._table.dynamodb.transact_write_items(
                [supersede, placement_write(self._table, new)]
            )
        except TransactionCancelled as error:
            found = [find_participant(reason.get("Item", {})) for reason in error.reasons]
            return HandOver(is_done=False, old=found[0], new=found[1])
        return HandOver(is_done=True)

    def claim_return(self, left: Participant) -> str | None:
        """Claim the return of a listener that has left, for one refresh at a time.

        The claim of an incomplete refresh expires after IN_FLIGHT_SECONDS.

        Returns:
            The claim; None if another refresh has it, or if the listener has returned or is gone.
        """
        claim = new_token()
        now_ms = int(self._clock() * 1000)
        is_claimed = self._table.try_update(
            left.connection_id,
            "SET returnClaim = :claim, returnClaimedAt = :now_ms",
            "sessionId = :session AND attribute_exists(leftAt)"
            " AND attribute_not_exists(supersededBy) AND (attribute_not_exists(returnClaim)"
            " OR returnClaim = :claim OR returnClaimedAt <= :lapsed)",
            {
                ":session": {"S": left.session_id},
                ":claim": claim,
                ":now_ms": number(now_ms),
                ":lapsed": number(now_ms - IN_FLIGHT_SECONDS * 1000),
            },
        )
        return str(claim["S"]) if is_claimed else None

    def release_return(self, connection_id: str, claim: str) -> None:
        """Release the claim of a return that failed."""
        self._table.try_update(
            connection_id,
            "REMOVE returnClaim, returnClaimedAt",
            "returnClaim = :claim",
            {":claim": {"S": claim}},
        )
