"""The least that a WebSocket application can be: what is measured is what serves it."""

# mypy: allow-untyped-decorators

from typing import Any

from chalice.app import Chalice, WebsocketEvent

app = Chalice(app_name="bench-trivial")
app.experimental_feature_flags.update(["WEBSOCKETS"])


@app.lambda_function()
def authorizer(event: dict[str, Any], _context: object) -> dict[str, Any]:
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
    return {"statusCode": 200}


@app.on_ws_message()
def message(event: WebsocketEvent) -> dict[str, Any]:
    """Echo; a client that asks for its connection id is told it, as bench.bare does."""
    is_question = event.body == "who am I?"
    return {"statusCode": 200, "body": event.connection_id if is_question else event.body}


@app.on_ws_disconnect()
def disconnect(_event: WebsocketEvent) -> dict[str, Any]:
    return {"statusCode": 200}
