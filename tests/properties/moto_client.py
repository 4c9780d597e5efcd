"""Moto's DynamoDB without the wire: botocore's share of a request is twice as long as moto's.

That both answer alike is tested in test_moto.py.
"""

import copy
import json
from typing import Any

from botocore.exceptions import ClientError
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.dynamodb.exceptions import DynamodbException
from moto.dynamodb.responses import DynamoHandler

REGION = "us-east-1"


class MotoClient:
    """Has the methods of boto3's client, by whose exceptions it refuses."""

    def __init__(self, client: Any) -> None:
        self.exceptions = client.exceptions

    def __getattr__(self, name: str) -> Any:
        return lambda **request: self._ask(name, request)

    def _ask(self, name: str, request: dict[str, Any]) -> Any:
        handler = DynamoHandler()
        handler.body = json.loads(json.dumps(request))
        handler.region, handler.current_account = REGION, DEFAULT_ACCOUNT_ID
        try:
            answer = getattr(handler, name)()
        except DynamodbException as error:
            details = json.loads(error.description)
            code = details.pop("__type").rpartition("#")[2]
            details["Error"] = {"Code": code, "Message": details.pop("message", "")}
            raise getattr(self.exceptions, code, ClientError)(details, name) from None
        return copy.deepcopy(answer.result)
