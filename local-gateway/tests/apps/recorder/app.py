"""An application that follows its clients' commands and records its events."""

import copy
import json
import os
import threading
import time
from collections import defaultdict
from pathlib import Path
from queue import Empty, SimpleQueue

from chalice import Chalice

app = Chalice(app_name="recorder")
app.experimental_feature_flags.update(["WEBSOCKETS"])

EVENTS = defaultdict(SimpleQueue)
STARTED = defaultdict(SimpleQueue)
RELEASED = defaultdict(threading.Event)


class Unprintable(Exception):
    def __str__(self):
        raise RuntimeError("no text")


def record(route, event):
    principal = event["requestContext"]["authorizer"]["principalId"]
    EVENTS[route, principal].put(copy.deepcopy(event))


def forget(event):
    """Remove everything from an event, which belongs to the handler."""
    event.get("requestContext", {}).clear()
    event.clear()


def wait(name, connection_id):
    STARTED[name].put(connection_id)
    RELEASED[name].wait(15)


@app.lambda_function()
def authorizer(event, context):
    query = event["queryStringParameters"]
    principal = query.get("principal", "anonymous")
    EVENTS["authorizer", principal].put(event)
    if "authorizer_raises" in query:
        raise Exception(query["authorizer_raises"])
    if "authorizer_is_unprintable" in query:
        raise Unprintable
    if "authorizer_returns" in query:
        return json.loads(query["authorizer_returns"])
    statement = {
        "Action": "execute-api:Invoke",
        "Effect": query.get("effect", "Allow"),
        "Resource": query.get("resource", event["methodArn"]),
    }
    return {
        "principalId": principal,
        "policyDocument": {"Version": "2012-10-17", "Statement": [statement]},
        "context": {"isAdmin": True, "count": 1, "name": "anna"},
    }


@app.on_ws_connect()
def connect(event):
    event = event.to_dict()
    record("$connect", event)
    query = event.get("queryStringParameters", {})
    if "connect_raises" in query:
        raise RuntimeError(query["connect_raises"])
    if "connect_waits" in query:
        wait(query["connect_waits"], event["requestContext"]["connectionId"])
    return json.loads(query.get("connect_returns", '{"statusCode": 200}'))


@app.on_ws_message()
def message(event):
    event = event.to_dict()
    command, _, argument = event["body"].partition(" ")
    if command == "record":
        record("$default", event)
    elif command == "raise":
        raise RuntimeError(argument)
    elif command == "forget":
        forget(event)
        raise RuntimeError(argument)
    elif command == "wait":
        wait(argument, event["requestContext"]["connectionId"])
    elif command == "sleep":
        time.sleep(float(argument))
    elif command == "repeat":
        return {"body": "x" * int(argument)}
    elif command == "environment":
        return {"body": os.environ.get(argument)}
    elif command == "return":
        return json.loads(argument)
    elif command == "unmarshallable":
        return {"body": {1, 2}}
    elif command == "id":
        return {"body": event["requestContext"]["connectionId"]}
    return {"statusCode": 200, "body": event["body"]}


@app.on_ws_disconnect()
def disconnect(event):
    event = event.to_dict()
    record("$disconnect", event)
    if "RECORD_FILE" in os.environ:
        with Path(os.environ["RECORD_FILE"]).open("a") as file:
            file.write(f"{event['requestContext']['disconnectStatusCode']}\n")
    forget(event)
    raise RuntimeError("only the log contains this")


@app.lambda_function()
def next_event(event, context):
    """Return the next event of a route and principal; None after a timeout."""
    try:
        return EVENTS[event["route"], event["principal"]].get(timeout=event["seconds"])
    except Empty:
        return None


@app.lambda_function()
def next_started(event, context):
    """Return the connection ID of the next handler that waits for the name."""
    return STARTED[event["name"]].get(timeout=10)


@app.lambda_function()
def release(event, context):
    """Release current and future handlers that wait for the name."""
    RELEASED[event["name"]].set()


@app.lambda_function(name="record")
def record_invocation(event, context):
    EVENTS["record", event["principal"]].put(copy.deepcopy(event))
    forget(event)


@app.lambda_function(name="context")
def describe_context(event, context):
    return {
        "event": event,
        "name": context.function_name,
        "memory_mb": context.memory_limit_in_mb,
        "remaining_ms": context.get_remaining_time_in_millis(),
    }


@app.lambda_function()
def fail(event, context):
    raise ValueError("no good")


@app.lambda_function()
def fail_unprintably(event, context):
    raise Unprintable


@app.lambda_function()
def not_a_number(event, context):
    return float("nan")


@app.lambda_function()
def sleep(event, context):
    time.sleep(event["seconds"])


@app.lambda_function()
def unmarshallable(event, context):
    return {1, 2}


@app.schedule("rate(1 minute)")
def clean_up(event):
    return event.to_dict()["time"]
