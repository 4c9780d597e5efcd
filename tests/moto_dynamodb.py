"""Moto's DynamoDB as a transport: the application's own client, without sockets.

That moto answers so over HTTP, too, is tested in tests/properties/test_moto.py.
"""

import copy
import json
import re
import threading
from collections import defaultdict
from collections.abc import Callable, Mapping
from functools import cache
from types import SimpleNamespace
from typing import Any

from moto.core.exceptions import JsonRESTError
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.dynamodb import models, responses
from moto.dynamodb.comparisons import AttributeValue, ConditionExpressionParser, OpDefault
from moto.dynamodb.models import dynamodb_backends
from moto.dynamodb.models.dynamo_type import DynamoType, Item
from moto.dynamodb.models.table import Table
from moto.dynamodb.models.utilities import dynamo_json_dump
from moto.dynamodb.parsing import validators
from moto.dynamodb.parsing.ast_nodes import (
    ExpressionAttributeValue,
    ExpressionValueOperator,
    Node,
    NoneExistingPath,
    UpdateExpression,
    UpdateExpressionAddAction,
    UpdateExpressionDeleteAction,
    UpdateExpressionFunction,
    UpdateExpressionPath,
    UpdateExpressionRemoveAction,
    UpdateExpressionSetAction,
    UpdateExpressionValue,
)
from moto.dynamodb.parsing.expressions import UpdateExpressionParser
from moto.dynamodb.parsing.validators import (
    ActionCountValidator,
    OverlappingPathsValidator,
    UpdateExpressionValidator,
    UpdateHashRangeKeyValidator,
)
from moto.dynamodb.responses import DynamoHandler

from chalicelib.aws.dynamodb import DynamoDB
from chalicelib.aws.retries import Retries
from chalicelib.aws.wire import Answer

REGION = "us-east-1"

Hook = Callable[[str, dict[str, Any]], None]
"""Sees an operation's name and its request or answer, which it may change. What it raises comes
out of the request, for example Unreachable.
"""


class MotoTransport:
    """Takes requests as SignedClient does, and has moto's DynamoDB answer them."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, dict[str, Any]]] = []
        """All that were made, with the names of their operations."""
        self.on_request: list[Hook] = []
        self.on_answer: list[Hook] = []

    def request(
        self,
        _method: str,
        _path: str,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        *,
        is_idempotent: bool | None = None,
    ) -> Answer:
        operation = (headers or {})["x-amz-target"].partition(".")[2]
        request = json.loads(body)
        self.requests.append((operation, request))
        for hook in self.on_request:
            hook(operation, request)
        answer = call(operation, request)
        if self.on_answer and answer.status == 200:
            said = json.loads(answer.body)
            for hook in self.on_answer:
                hook(operation, said)
            answer = Answer(200, json.dumps(said).encode(), {})
        return answer


class MotoDynamoDB(DynamoDB):
    """The application's client on moto, with what tests look at and strike."""

    def __init__(self, retries: Retries | None = None) -> None:
        self.transport = MotoTransport()
        super().__init__(self.transport, retries or Retries("store"))


def call(operation: str, request: Mapping[str, Any]) -> Answer:
    """Have moto carry out one request, whose answer it gives as it would over HTTP."""
    try:
        said = _carry_out(operation, request)
    except JsonRESTError as error:
        return Answer(400, error.description.encode(), {})
    return Answer(200, dynamo_json_dump(said or {}).encode(), {})


def _carry_out(operation: str, request: Mapping[str, Any]) -> Any:
    vars(_request).clear()
    _request.body = request
    handler = DynamoHandler()
    handler.body = dict(request)
    handler.region, handler.current_account = REGION, DEFAULT_ACCOUNT_ID
    return getattr(handler, _snake_case(operation))().result


@cache
def _snake_case(operation: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", operation).lower()


def create_tables(*requests: Mapping[str, Any]) -> None:
    """Forget all tables, and create these."""
    dynamodb_backends[DEFAULT_ACCOUNT_ID][REGION].reset()
    for request in requests:
        _carry_out("CreateTable", request)


def _avoid_repeated_work() -> None:
    """Have moto parse each expression once, and copy only the items that a request changes.

    The tests in tests/properties/test_moto_dynamodb.py show that its answers stay the same.
    """
    UpdateExpressionParser.make = staticmethod(_make)
    UpdateExpressionValidator.validate = _validate
    ConditionExpressionParser.parse = _parse
    ConditionExpressionParser._make_operand = _make_operand
    validators.deepcopy = _copy
    models.copy = SimpleNamespace(deepcopy=_copy)
    # `dynamo_json_dump` converts the same types, in one pass.
    responses.dynamo_to_dict = lambda result: result


@cache
def _make(expression: str, make: Any = UpdateExpressionParser.make) -> UpdateExpression:
    made = make(expression)
    found = cache(lambda kinds: UpdateExpression.find_clauses(made, kinds))
    made.find_clauses = lambda kinds: found(tuple(kinds))
    return made


def _validate(validator: UpdateExpressionValidator) -> Node:
    """Validate an update as moto does, without a search for the nodes of each processor."""
    _, _, keys, values, paths, functions, missing, operations, types, empty = validator.processors
    names = validator.expression_attribute_names or {}
    plan = _plan(validator.node_to_validate, tuple(names.items()), tuple(keys.table_key_attributes))
    found: dict[type[Node], list[tuple[Node, int]]] = defaultdict(list)
    root = _twin(plan, None, -1, found)

    def replace(kind: type[Node], process: Callable[[Node], Node]) -> None:
        for node, number in found[kind]:
            parent = node.parent
            parent.children[number] = new = process(node)
            new.parent = parent

    def resolve(path: Node) -> Node:
        paths.resolving = not isinstance(path.parent, ACTIONS)
        return paths.process_expression_path_node(path)

    replace(ExpressionAttributeValue, values.replace_expression_attribute_value_with_value)
    replace(UpdateExpressionPath, resolve)
    replace(UpdateExpressionFunction, functions.process_function)
    for node, _ in found[UpdateExpressionValue]:
        for child in node.children:
            if isinstance(child, NoneExistingPath):
                missing.raise_none_existing_path(child)
    replace(UpdateExpressionValue, operations.process_update_expression_value)
    for node, _ in found[UpdateExpressionSetAction]:
        types.check_for_type_mismatch(node)
    for node, _ in found[UpdateExpressionSetAction]:
        empty.check_for_empty_string_key_value(node)
    return root


ACTIONS = (
    UpdateExpressionSetAction,
    UpdateExpressionAddAction,
    UpdateExpressionRemoveAction,
    UpdateExpressionDeleteAction,
)


@cache
def _plan(
    made: UpdateExpression, names: tuple[tuple[str, str], ...], keys: tuple[str, ...]
) -> UpdateExpression:
    """Check what doesn't depend on values or an item, and flatten the expression."""
    ActionCountValidator().verify_action_counts(made)
    OverlappingPathsValidator(dict(names)).check_for_overlapping_paths(made)
    UpdateHashRangeKeyValidator(keys, dict(names)).traverse(made)
    plan = _twin(made, None, -1, defaultdict(list))
    plan.normalize()
    return plan


def _twin(
    node: Node, parent: Node | None, number: int, found: dict[type[Node], list[tuple[Node, int]]]
) -> Node:
    """Copy a tree, and note each node and its number among its parent's children, leaves first."""
    kind = type(node)
    twin = kind.__new__(kind)
    twin.type, twin.parent, twin.children = node.type, parent, node.children
    if kind not in UNCHANGED:
        twin.children = [
            child if isinstance(child, str) else _twin(child, twin, number, found)
            for number, child in enumerate(node.children)
        ]
    found[kind].append((twin, number))
    return twin


UNCHANGED = {UpdateExpressionPath, ExpressionAttributeValue, ExpressionValueOperator}
"""Kinds of nodes whose children stay the same."""


def _parse(parser: ConditionExpressionParser) -> Any:
    """Parse a condition, whose syntax doesn't depend on values."""
    if not parser.condition_expression:
        return OpDefault(None, None)
    names = parser.expression_attribute_names or {}
    node, names_found, values_found = _syntax(parser.condition_expression, tuple(names.items()))
    parser.expr_attr_names_found, parser.expr_attr_values_found = [*names_found], [*values_found]
    return parser._make_op_condition(node)


@cache
def _syntax(
    condition: str, names: tuple[tuple[str, str], ...], parse: Any = ConditionExpressionParser.parse
) -> tuple[Any, list[str], list[str]]:
    parser = ConditionExpressionParser(condition, dict(names), defaultdict(dict))
    parser._make_op_condition = lambda node: node
    return parse(parser), parser.expr_attr_names_found, parser.expr_attr_values_found


def _make_operand(
    parser: ConditionExpressionParser,
    node: Any,
    make: Any = ConditionExpressionParser._make_operand,
) -> Any:
    if node.kind == parser.Kind.EXPRESSION_ATTRIBUTE_VALUE:
        return AttributeValue(parser.expression_attribute_values[node.text])
    return make(parser, node)


def _copy(it: Any) -> Any:
    """Copy no more than a request can change: moto copies all of a table for a transaction."""
    if isinstance(it, Table):
        copies = vars(_request).setdefault("copies", {})
        if it.name not in copies:
            copies[it.name] = _copy_table(it, _request.body["TransactItems"])
        return copies[it.name]
    # `_validate` copies an expression, and only a table with a stream needs an item as it was.
    return it if isinstance(it, UpdateExpression | Item) else copy.deepcopy(it)


def _copy_table(table: Table, actions: list[dict[str, Any]]) -> Table:
    twin = copy.copy(table)
    twin.items = table.items.copy()
    for action in actions:
        for written in action.values():
            if written["TableName"] == table.name:
                key = DynamoType(written.get("Key", written.get("Item"))[table.hash_key_attr])
                if key in twin.items:
                    twin.items[key] = copy.deepcopy(twin.items[key])
    return twin


_request = threading.local()
"""The body of a request, and the tables that moto has copied for it."""

_avoid_repeated_work()
