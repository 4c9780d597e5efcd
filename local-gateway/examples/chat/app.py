"""A chat. Each client has a name, and receives the messages of all clients."""

# mypy: allow-untyped-decorators

import json
import os
from functools import cache
from typing import Any

import boto3
from chalice.app import Chalice, WebsocketEvent

app = Chalice(app_name="chat")
app.experimental_feature_flags.update(["WEBSOCKETS"])


@app.lambda_function()
def authorizer(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Refuse a client without a name with 401, and a banned name with 403."""
    name = (event.get("queryStringParameters") or {}).get("name")
    if not name:
        raise PermissionError("Unauthorized")  # API Gateway answers 401 to exactly this message
    is_banned = name in os.environ["BANNED_NAMES"].split(",")
    statement = {
        "Action": "execute-api:Invoke",
        "Effect": "Deny" if is_banned else "Allow",
        "Resource": event["methodArn"],
    }
    return {
        "principalId": name,
        "policyDocument": {"Version": "2012-10-17", "Statement": [statement]},
    }


@app.on_ws_connect()
def connect(event: WebsocketEvent) -> dict[str, Any]:
    """Announce the client, then store its connection, which can't receive posts before it opens."""
    broadcast(event, {"joined": name_of(event)})
    connections().put_item(Item={"connectionId": event.connection_id})
    return {"statusCode": 200}


@app.on_ws_message()
def message(event: WebsocketEvent) -> dict[str, Any]:
    """Send the text to all clients. The route response tells the sender how many received it."""
    count = broadcast(event, {"from": name_of(event), "text": event.body})
    return {"statusCode": 200, "body": json.dumps({"delivered": count})}


@app.on_ws_disconnect()
def disconnect(event: WebsocketEvent) -> dict[str, Any]:
    """Forget the connection, and announce that the client left."""
    connections().delete_item(Key={"connectionId": event.connection_id})
    broadcast(event, {"left": name_of(event)})
    return {"statusCode": 200}


def broadcast(event: WebsocketEvent, content: dict[str, str]) -> int:
    """Post to all connections, and remove those that no longer exist.

    `$disconnect` is best effort. Without it, only a post shows that a client is gone.

    Returns:
        The number of connections that received the message.
    """
    client = management_api(event.domain_name, event.stage)
    items = connections().scan(ConsistentRead=True)["Items"]
    count = 0
    for key in items:
        try:
            client.post_to_connection(ConnectionId=key["connectionId"], Data=json.dumps(content))
            count += 1
        except client.exceptions.GoneException:
            connections().delete_item(Key=key)
    return count


def name_of(event: WebsocketEvent) -> str:
    """Return the name that the authorizer accepted."""
    name: str = event.to_dict()["requestContext"]["authorizer"]["principalId"]
    return name


@cache
def connections() -> Any:
    """Return the table of open connections."""
    return boto3.resource("dynamodb").Table(os.environ["CONNECTIONS_TABLE"])


@cache
def management_api(domain_name: str, stage: str) -> Any:
    """Return a client for @connections: the local gateway's if it runs, or else API Gateway's."""
    local = os.environ.get("AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI")
    endpoint_url = local or f"https://{domain_name}/{stage}"
    return boto3.client("apigatewaymanagementapi", endpoint_url=endpoint_url)
