"""Atomicity of the emulator's transactions, which the races rely on."""

from functools import partial
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local_gateway import aws
from tests.races.fakes import Clock
from tests.races.service import SCHEMA, Clients

WRITERS, READERS, WRITES = 48, 16, 5


@pytest.fixture
def table(clients: Clients) -> str:
    clients.observer.create_table(**aws.table_request("pairs", SCHEMA["sessions"]))
    return "pairs"


def test_a_transaction_is_atomic(clients: Clients, table: str) -> None:
    """Each writer increments two items if neither has changed since it read them."""
    add = partial(_add_to_both, clients.observer, table)
    read = partial(_read_both, clients.observer, table)

    done = Clock().run_all([add] * WRITERS + [read] * READERS)

    codes = {code for codes, _ in done[:WRITERS] for code in codes}
    added = sum(additions for _, additions in done[:WRITERS])
    # The two items are always equal, so both conditions fail or neither does.
    assert codes == {"ConditionalCheckFailed"}
    assert all(first == second for pairs in done[WRITERS:] for first, second in pairs)
    assert _read(clients.observer, table) == (added, added)


def _add_to_both(client: Any, table: str) -> tuple[set[str], int]:
    """Try a few times. Return the codes of cancellations, and the number of successes."""
    codes, additions = set(), 0
    for _ in range(WRITES):
        seen = _read(client, table)
        try:
            client.transact_write_items(
                TransactItems=[
                    _addition(table, key, at) for key, at in zip("ab", seen, strict=True)
                ]
            )
        except ClientError as error:
            codes |= {reason["Code"] for reason in error.response["CancellationReasons"]}
        else:
            additions += 1
    return codes, additions


def _addition(table: str, key: str, seen: int) -> dict[str, Any]:
    return {
        "Update": {
            "TableName": table,
            "Key": {"sessionId": {"S": key}},
            "UpdateExpression": "SET n = :next",
            "ConditionExpression": "n = :seen OR (attribute_not_exists(n) AND :seen = :zero)",
            "ExpressionAttributeValues": {
                ":seen": {"N": str(seen)},
                ":next": {"N": str(seen + 1)},
                ":zero": {"N": "0"},
            },
        }
    }


def _read_both(client: Any, table: str) -> list[tuple[int, int]]:
    return [_read(client, table) for _ in range(WRITES)]


def _read(client: Any, table: str) -> tuple[int, int]:
    answers = client.transact_get_items(
        TransactItems=[
            {"Get": {"TableName": table, "Key": {"sessionId": {"S": key}}}} for key in "ab"
        ]
    )["Responses"]
    first, second = (int(answer.get("Item", {}).get("n", {"N": "0"})["N"]) for answer in answers)
    return first, second
