"""boto3's DynamoDB client, with a hook for what botocore lacks of HTTP."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from boto3.session import Session
    from botocore.config import Config
    from mypy_boto3_dynamodb import DynamoDBClient


def make_client(session: "Session", config: "Config") -> "DynamoDBClient":
    """Return a client whose ClientErrors have the answer's status, whatever the body is."""
    client = session.client("dynamodb", config=config)
    client.meta.events.register("before-parse.dynamodb", _drop_body_of_failure)
    return client


def _drop_body_of_failure(response_dict: dict[str, Any], **_: Any) -> None:
    """Leave botocore the status: it raises AttributeError for JSON that is no object."""
    if response_dict["status_code"] >= 500:
        response_dict["body"] = b""
