"""Reads and conditional writes of single items in one DynamoDB table."""

from collections.abc import Mapping
from typing import Any

from chalicelib.aws.dynamodb import ConditionFailed, DynamoDB, Item


class Table:
    """One table with a simple primary key.

    A method whose name begins with `try_` returns whether its condition held.
    """

    def __init__(self, dynamodb: DynamoDB, name: str, key_name: str) -> None:
        self.dynamodb = dynamodb
        self.name = name
        self._key_name = key_name

    def key(self, value: str) -> Item:
        """Return the key of an item."""
        return {self._key_name: {"S": value}}

    def find(self, key: str) -> Item:
        """Read an item with a consistent read; empty if it doesn't exist."""
        return self.dynamodb.get_item(TableName=self.name, Key=self.key(key), ConsistentRead=True)

    def update(
        self,
        key: str,
        update: str,
        *,
        condition: str | None = None,
        values: Item | None = None,
        names: Mapping[str, str] | None = None,
        returning: str | None = None,
        is_repeatable: bool = True,
    ) -> Item:
        """Update an item, and return the attributes that `returning` asks for.

        Args:
            key: The value of the item's key.
            update: The update expression.
            condition: The condition expression.
            values: The values of both expressions, by their placeholders.
            names: The attribute names of both expressions, by their placeholders.
            returning: "ALL_OLD" or "ALL_NEW".
            is_repeatable: Whether to repeat a request that may have been applied.

        Raises:
            ConditionFailed: The condition was false; it carries the item.
        """
        request: dict[str, Any] = {
            "ConditionExpression": condition,
            "ExpressionAttributeValues": values,
            "ExpressionAttributeNames": names,
            "ReturnValues": returning,
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD" if condition else None,
        }
        return self.dynamodb.update_item(
            is_repeatable=is_repeatable,
            TableName=self.name,
            Key=self.key(key),
            UpdateExpression=update,
            # DynamoDB refuses empty maps.
            **{name: value for name, value in request.items() if value},
        )

    def try_update(
        self,
        key: str,
        update: str,
        condition: str,
        values: Item | None = None,
        names: Mapping[str, str] | None = None,
        *,
        is_repeatable: bool = True,
    ) -> bool:
        """Update an item if the condition holds; see `update`."""
        try:
            self.update(
                key,
                update,
                condition=condition,
                values=values,
                names=names,
                is_repeatable=is_repeatable,
            )
        except ConditionFailed:
            return False
        return True

    def try_put(self, item: Item, condition: str) -> bool:
        """Replace an item if the condition holds."""
        try:
            self.dynamodb.put_item(TableName=self.name, Item=item, ConditionExpression=condition)
        except ConditionFailed:
            return False
        return True

    def put(self, item: Item) -> None:
        """Replace an item."""
        self.dynamodb.put_item(TableName=self.name, Item=item)

    def delete(self, key: str) -> None:
        """Delete an item. Idempotent."""
        self.dynamodb.delete_item(TableName=self.name, Key=self.key(key))

    def delete_returning(self, key: str, condition: str, values: Item) -> Item | None:
        """Delete an item if the condition holds, and return it; None if it was not deleted."""
        try:
            item = self.dynamodb.delete_item(
                TableName=self.name,
                Key=self.key(key),
                ConditionExpression=condition,
                ExpressionAttributeValues=values,
                ReturnValues="ALL_OLD",
            )
        except ConditionFailed:
            return None
        return item or None

    def try_delete(self, key: str, condition: str, values: Item | None = None) -> bool:
        """Delete an item if the condition holds."""
        used = {"ExpressionAttributeValues": values} if values else {}
        try:
            self.dynamodb.delete_item(
                TableName=self.name, Key=self.key(key), ConditionExpression=condition, **used
            )
        except ConditionFailed:
            return False
        return True
