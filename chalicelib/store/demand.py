"""The marks of demand on a session's item: idle languages, and notices of the status."""

from collections.abc import Callable
from typing import Final

from chalicelib.aws.dynamodb import ConditionFailed, TransactionCancelled
from chalicelib.models import Session
from chalicelib.store.count_updates import Counted, new_count_token
from chalicelib.store.items import (
    ACTIVE,
    LANGUAGE_COUNT,
    QUIET,
    TRANSLATED,
    new_token,
    number,
    parse_session,
)
from chalicelib.store.open_sessions import IS_OPEN, NAMES, open_values
from chalicelib.store.table import Table

HAS_NO_LISTENER: Final = "(attribute_not_exists(#count) OR #count <= :zero)"
"""The condition that a language has no listener."""


class DemandStore:
    """Writes the marks that the writes of counts leave to others.

    Those writes mark languages as active, and claim notices; see CountUpdate.
    """

    def __init__(self, table: Table, clock: Callable[[], float]) -> None:
        self._table = table
        self._clock = clock

    def mark_quiet(self, session_id: str, language: str) -> None:
        """Store that an active language has no listeners since now, unless it has some again."""
        self._table.try_update(
            session_id,
            "SET #quiet = :now_ms",
            "attribute_exists(#active) AND attribute_not_exists(#quiet) AND " + HAS_NO_LISTENER,
            {":now_ms": number(int(self._clock() * 1000)), ":zero": number(0)},
            {
                "#active": ACTIVE + language,
                "#quiet": QUIET + language,
                "#count": LANGUAGE_COUNT + language,
            },
        )

    def claim_idle(self, session_id: str, language: str, quiet_since_ms: int) -> bool:
        """End the activity of a language that has been quiet since then.

        It is a transaction because DynamoDB recognizes a repeated one by its token. A repeated
        single write would mistake its own result for that of another caller.

        Returns:
            Whether this call has ended it. False if it has a listener again, or if the session is
            not open.
        """
        update = {
            "TableName": self._table.name,
            "Key": self._table.key(session_id),
            "UpdateExpression": "REMOVE #active, #quiet, #translated",
            "ConditionExpression": f"{IS_OPEN} AND #quiet = :quiet AND {HAS_NO_LISTENER}",
            "ExpressionAttributeNames": {
                **NAMES,
                "#active": ACTIVE + language,
                "#quiet": QUIET + language,
                "#translated": TRANSLATED + language,
                "#count": LANGUAGE_COUNT + language,
            },
            "ExpressionAttributeValues": {
                ":quiet": number(quiet_since_ms),
                ":zero": number(0),
                **open_values(self._clock()),
            },
        }
        try:
            self._table.dynamodb.transact_write_items([{"Update": update}])
        except TransactionCancelled:
            return False
        return True

    def claim_notice(self, session_id: str, stale_token: str | None = None) -> Counted | None:
        """Claim the next notice of the status.

        Args:
            session_id: The session's ID.
            stale_token: Take over the claim with this token; by default, no claim may exist.

        Returns:
            None if there is another claim, or if the session is not open.
        """
        token = new_count_token(self._clock())
        values = {":token": {"S": token}, **open_values(self._clock())}
        if stale_token is None:
            condition = "attribute_not_exists(statusDue)"
        else:
            condition, values[":stale"] = "statusDue = :stale", {"S": stale_token}
        try:
            item = self._table.update(
                session_id,
                "SET statusDue = :token",
                condition=f"{IS_OPEN} AND ({condition} OR statusDue = :token)",
                names=NAMES,
                values=values,
                returning="ALL_NEW",
            )
        except ConditionFailed:
            return None
        return Counted(parse_session(item), token)

    def begin_notice(self, session_id: str, token: str) -> Session | None:
        """Clear the claim of a notice, whose counts are those of the returned session.

        A later change of a count claims another notice.

        Returns:
            The session, for one caller only, even if its write is sent twice; None if the session
            is not open.
        """
        try:
            item = self._table.update(
                session_id,
                "SET statusAt = :now_ms, statusClaim = :claim REMOVE statusDue",
                condition=f"{IS_OPEN} AND (statusDue = :token OR statusClaim = :claim)",
                names=NAMES,
                values={
                    ":token": {"S": token},
                    ":claim": new_token(),
                    **open_values(self._clock()),
                },
                returning="ALL_NEW",
            )
        except ConditionFailed:
            return None
        return parse_session(item)
