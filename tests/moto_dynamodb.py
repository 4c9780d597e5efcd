"""Moto's DynamoDB as a transport: the application's own client, without sockets.

That moto answers so over HTTP, too, is tested in tests/properties/test_moto.py.
"""

import copy
import json
import pickle
import re
import threading
from collections import deque
from collections.abc import Callable, Mapping
from functools import cache
from types import SimpleNamespace
from typing import Any

from moto.core.exceptions import JsonRESTError
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.dynamodb import models
from moto.dynamodb.comparisons import ConditionExpressionParser
from moto.dynamodb.models import dynamodb_backends
from moto.dynamodb.models.table import Table
from moto.dynamodb.parsing import validators
from moto.dynamodb.parsing.ast_nodes import DepthFirstTraverser, Node, UpdateExpression
from moto.dynamodb.parsing.expressions import UpdateExpressionParser
from moto.dynamodb.parsing.validators import ActionCountValidator, OverlappingPathsValidator
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
    return Answer(200, json.dumps(said or {}).encode(), {})


def _carry_out(operation: str, request: Mapping[str, Any]) -> Any:
    vars(_request).clear()
    handler = DynamoHandler()
    handler.body = dict(request)
    handler.region, handler.current_account = REGION, DEFAULT_ACCOUNT_ID
    return getattr(handler, re.sub(r"(?<!^)(?=[A-Z])", "_", operation).lower())().result


def create_tables(*requests: Mapping[str, Any]) -> None:
    """Forget all tables, and create these."""
    dynamodb_backends[DEFAULT_ACCOUNT_ID][REGION].reset()
    for request in requests:
        _carry_out("CreateTable", request)


_request = threading.local()
"""The conditions that moto has parsed, and the tables that it has copied, for one request."""


def _avoid_repeated_work() -> None:
    """Have moto parse each expression once, and copy each table once per transaction.

    The tests in tests/properties/test_moto_dynamodb.py show that its answers stay the same.
    """
    UpdateExpressionParser.make = staticmethod(cache(UpdateExpressionParser.make))
    # Moto runs these checks at every node, although the result at the root contains the others.
    ActionCountValidator.traverse = ActionCountValidator.verify_action_counts
    OverlappingPathsValidator.traverse = OverlappingPathsValidator.check_for_overlapping_paths
    DepthFirstTraverser.traverse = _traverse
    validators.deepcopy = _copy
    models.copy = SimpleNamespace(deepcopy=_copy)
    ConditionExpressionParser._lex_condition_expression = _lex
    ConditionExpressionParser.parse = _parse


def _copy(it: Any) -> Any:
    """Copy an object. Moto copies all of a table for each write of a transaction."""
    if isinstance(it, UpdateExpression):
        return pickle.loads(_pickled(it))
    if not isinstance(it, Table):
        return copy.deepcopy(it)
    copies = vars(_request).setdefault("copies", {})
    if it.name not in copies:
        copies[it.name] = copy.deepcopy(it)
    return copies[it.name]


_pickled = cache(pickle.dumps)


def _lex(
    parser: ConditionExpressionParser,
    lex: Any = ConditionExpressionParser._lex_condition_expression,
) -> deque[Any]:
    return deque(_tokens(parser.condition_expression, lex))


@cache
def _tokens(expression: str, lex: Any) -> tuple[Any, ...]:
    return tuple(lex(ConditionExpressionParser(expression, {}, {})))


def _parse(parser: ConditionExpressionParser, parse: Any = ConditionExpressionParser.parse) -> Any:
    """Parse a condition, which moto does two or three times for a request."""
    key = (
        parser.condition_expression,
        repr(parser.expression_attribute_names),
        repr(parser.expression_attribute_values),
    )
    conditions = vars(_request).setdefault("conditions", {})
    if key not in conditions:
        condition = parse(parser)
        conditions[key] = condition, parser.expr_attr_names_found, parser.expr_attr_values_found
    condition, names, values = conditions[key]
    parser.expr_attr_names_found, parser.expr_attr_values_found = [*names], [*values]
    return condition


def _traverse(traverser: DepthFirstTraverser, node: Any) -> Any:
    """Process the nodes as moto does, and find out once which kinds of nodes a traverser processes.

    Only one of moto's traversers overrides the hook that it calls for each child.
    """
    kind = type(traverser)
    if kind not in _processed:
        _processed[kind] = _Kinds(traverser.nodes_to_be_processed())
    is_processed = _processed[kind]
    has_hook = kind.pre_processing_of_child is not DepthFirstTraverser.pre_processing_of_child

    def visit(node: Any, child_id: int) -> Any:
        parent = node.parent
        for number, child in enumerate(node.children or ()):
            if has_hook:
                traverser.pre_processing_of_child(node, number)
            if _is_node[type(child)]:
                visit(child, number)
        if is_processed[type(node)]:
            node = traverser.process(node)
            node.parent = parent
            if parent:
                parent.children[child_id] = node
        return node

    return visit(node, -1)


class _Kinds(dict[type, bool]):
    """Whether a type is a subclass of one of the given types."""

    def __init__(self, bases: tuple[type, ...]) -> None:
        self._bases = bases

    def __missing__(self, kind: type) -> bool:
        self[kind] = issubclass(kind, self._bases)
        return self[kind]


_processed: dict[type, _Kinds] = {}
_is_node = _Kinds((Node,))

_avoid_repeated_work()
