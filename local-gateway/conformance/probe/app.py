"""The probe: handlers that do as the client says and record the events that they receive.

A client passes the instructions for the authorizer and `$connect` in the query string:

- `run`: the subject of the records of the handshake's events.
- `authorizer`: one of AUTHORIZERS.
- `connect`: one of CONNECTS.
- `status`, `body`, `subprotocol`: what `$connect` returns.

A message is a JSON object with the key `do`: one of MESSAGES. Messages and `$disconnect` are
recorded with the connection's ID as the subject.
"""

import functools
import json
import os
import threading
import time
import uuid

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError
from chalice import Chalice

app = Chalice(app_name="conformance-probe")
app.experimental_feature_flags.update(["WEBSOCKETS"])

POLL_SECONDS = 0.05
CONFIG = Config(retries={"total_max_attempts": 1})
TABLE = os.environ["RECORDS_TABLE"]
DYNAMODB = boto3.client("dynamodb")
MANAGEMENT_URL = (
    os.environ.get("MANAGEMENT_URL")
    or os.environ.get("AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI")
    or "https://{domainName}/{stage}"
)
LOCK = threading.Lock()


@app.lambda_function()
def authorizer(event, context):
    query = event.get("queryStringParameters") or {}
    record(query.get("run") or "no run", "authorizer", event)
    return AUTHORIZERS[query.get("authorizer") or "allow"](event)


def connect(event):
    event = event.to_dict()
    query = event.get("queryStringParameters") or {}
    subject = query.get("run") or event["requestContext"]["connectionId"]
    record(subject, "$connect", event)
    return CONNECTS[query.get("connect") or "return"](event, query)


def message(event):
    event = event.to_dict()
    record(event["requestContext"]["connectionId"], "$default", event)
    try:
        wish = json.loads(event["body"])
    except ValueError:
        wish = {"do": "reply", "body": "not JSON"}
    return MESSAGES[wish["do"]](event, wish)


def disconnect(event):
    event = event.to_dict()
    subject = event["requestContext"]["connectionId"]
    record(subject, "$disconnect", event)
    record(subject, "post in $disconnect", post(event, "too late"))


ROUTES = os.environ.get("ROUTES", "$connect,$default,$disconnect").split(",")
if "$connect" in ROUTES:
    connect = app.on_ws_connect()(connect)
if "$default" in ROUTES:
    message = app.on_ws_message()(message)
if "$disconnect" in ROUTES:
    disconnect = app.on_ws_disconnect()(disconnect)


@app.lambda_function()
def child(event, context):
    """Post to a connection as soon as it is open, and return the outcome.

    serverless-offline 13.9.0 crashes if an asynchronous invocation returns nothing: after the
    function's timeout, which is during a later check.
    """
    for _ in range(int(10 / POLL_SECONDS)):
        outcome = post(event, "from the child")
        if not outcome.startswith("410 "):
            break
        time.sleep(POLL_SECONDS)
    return outcome


def record(subject, source, content):
    item = {
        "subject": subject,
        "position": f"{time.time_ns()}-{uuid.uuid4()}",
        "source": source,
        "content": json.dumps(content),
    }
    DYNAMODB.put_item(TableName=TABLE, Item={name: {"S": text} for name, text in item.items()})


def post(event, text):
    """Post to the event's connection, and return the outcome, such as "410 GoneException"."""
    context = event["requestContext"]
    try:
        connections(MANAGEMENT_URL.format(**context)).post_to_connection(
            ConnectionId=context["connectionId"], Data=text.encode()
        )
    except ClientError as error:
        status = str(error.response["ResponseMetadata"]["HTTPStatusCode"])
        kind = error.response["Error"]["Code"]
        return f"{status} without an error type" if kind == status else f"{status} {kind}"
    return "200"


@functools.cache
def connections(url):
    with LOCK:  # Clients are thread-safe, but their creation isn't.
        return boto3.client("apigatewaymanagementapi", endpoint_url=url, config=CONFIG)


def policy(event, effect="Allow", resource=None, **context):
    statement = {
        "Effect": effect,
        "Action": "execute-api:Invoke",
        "Resource": resource or event["methodArn"],
    }
    return {
        "principalId": "probe",
        "policyDocument": {"Version": "2012-10-17", "Statement": [statement]},
        "context": context,
    }


def arn_of_rest_api(event):
    """Return the ARN that helpers for REST APIs build: with a verb and a path."""
    return event["methodArn"].rsplit("/", 1)[0] + "/*/*"


def fail(text):
    raise Exception(text)  # API Gateway compares the text alone.


AUTHORIZERS = {
    "allow": lambda event: policy(event, color="blue"),
    "context": lambda event: policy(event, text="one", number=1, flag=True),
    "nested": lambda event: policy(event, nested={"a": [1]}),
    "large": lambda event: policy(event, padding="x" * 9000),
    "deny": lambda event: policy(event, effect="Deny"),
    "wrong_arn": lambda event: policy(event, resource=arn_of_rest_api(event)),
    "unauthorized": lambda event: fail("Unauthorized"),
    "raise": lambda event: fail("the probe raises"),
    "malformed": lambda event: {"isAuthorized": True},
    "not_an_object": lambda event: "allow",
}


def connect_return(event, query):
    result = {"statusCode": int(query.get("status") or 200), "body": query.get("body") or ""}
    if "subprotocol" in query:
        result["headers"] = {"Sec-WebSocket-Protocol": query["subprotocol"], "X-Probe": "1"}
    return result


def connect_post(event, query):
    record(query["run"], "post in $connect", post(event, "too early"))
    return {"statusCode": 200}


def connect_child(event, query):
    payload = json.dumps({"requestContext": event["requestContext"]})
    with LOCK:
        functions = boto3.client("lambda")
    functions.invoke(
        FunctionName=os.environ["CHILD_FUNCTION"], InvocationType="Event", Payload=payload
    )
    return {"statusCode": 200}


CONNECTS = {
    "return": connect_return,
    "raise": lambda event, query: fail("the probe raises"),
    "malformed": lambda event, query: {"statusCode": "two hundred"},
    "post": connect_post,
    "child": connect_child,
}


def reply(event, wish):
    return {"statusCode": 200, "body": wish["body"]}


def reply_id(event, wish):
    return {"statusCode": 200, "body": event["requestContext"]["connectionId"]}


def post_to_itself(event, wish):
    post(event, wish["body"])
    return {"statusCode": 200}


def wait(event, wish):
    time.sleep(wish["seconds"])
    return {"statusCode": 200, "body": "waited"}


def meet(event, wish):
    """Wait until the connection's other message runs, at most 5 seconds."""
    subject = event["requestContext"]["connectionId"]
    for _ in range(int(5 / POLL_SECONDS)):
        if any(is_message(item, wish["other"]) for item in records_of(subject)):
            return {"statusCode": 200, "body": f"{wish['name']} met {wish['other']}"}
        time.sleep(POLL_SECONDS)
    return {"statusCode": 200, "body": f"{wish['name']} waited in vain"}


def records_of(subject):
    return DYNAMODB.query(
        TableName=TABLE,
        KeyConditionExpression="subject = :subject",
        ExpressionAttributeValues={":subject": {"S": subject}},
        ConsistentRead=True,
    )["Items"]


def is_message(item, name):
    if item["source"]["S"] != "$default":
        return False
    return json.loads(json.loads(item["content"]["S"])["body"]).get("name") == name


MESSAGES = {
    "reply": reply,
    "id": reply_id,
    "nothing": lambda event, wish: None,
    "return": lambda event, wish: wish["value"],
    "raise": lambda event, wish: fail("the probe raises"),
    "post": post_to_itself,
    "wait": wait,
    "meet": meet,
}
