"""A minimal WebSocket application, with which the server's own cost is measured."""

# mypy: allow-untyped-decorators

import threading
from typing import Any

from chalice.app import Chalice, WebsocketEvent

app = Chalice(app_name="bench-trivial")
app.experimental_feature_flags.update(["WEBSOCKETS"])


@app.lambda_function()
def authorizer(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Allow every connection."""
    statement = {
        "Action": "execute-api:Invoke",
        "Effect": "Allow",
        "Resource": event["methodArn"],
    }
    return {
        "principalId": "anyone",
        "policyDocument": {"Version": "2012-10-17", "Statement": [statement]},
    }


@app.on_ws_connect()
def connect(_event: WebsocketEvent) -> dict[str, Any]:
    """Accept the connection."""
    return {"statusCode": 200}


@app.on_ws_message()
def message(event: WebsocketEvent) -> dict[str, Any]:
    """Echo the message, or answer with the connection ID, like `bench.bare`, or hang."""
    if event.body == "hang":
        threading.Event().wait()
    is_question = event.body == "who am I?"
    return {"statusCode": 200, "body": event.connection_id if is_question else event.body}


@app.on_ws_disconnect()
def disconnect(_event: WebsocketEvent) -> dict[str, Any]:
    """Do nothing."""
    return {"statusCode": 200}
