"""The handshake and the route $connect."""

import http.client
import json
import ssl
from contextlib import closing
from urllib.parse import urlsplit

from conformance.facts import fact
from conformance.runner import Observe
from conformance.variant import Client, Variant, describe, keys_of, unique

REFUSALS = ("301", "400", "401", "501")


def handshake_and_run(variant: Variant) -> str:
    """Connect, and describe the result and whether $connect ran."""
    run = unique()
    status = variant.handshake(run=run)
    ran = "runs" if variant.records_now(run, "$connect") else "does not run"
    return f"{status}, $connect {ran}"


def subprotocol_of(client: Client) -> str:
    chosen = client.connection.subprotocol
    return "no subprotocol" if chosen is None else f"the subprotocol {chosen}"


@fact(
    "1",
    "The handshake completes after $connect has run.",
    source="DG/apigateway-websocket-api-route-keys-connect-disconnect",
    confidence="documented",
)
def test_the_handshake_waits_for_connect(one_way: Variant, observe: Observe) -> None:
    with one_way.connect() as client:
        ran = bool(one_way.records_now(client.run, "$connect"))
    assert observe("waits for $connect" if ran else "does not wait for $connect") == (
        "waits for $connect"
    )


@fact(
    "2",
    "A post to the connection during its own $connect fails with 410 GoneException.",
    source="repost.aws/knowledge-center/410-gone-api-gateway",
    confidence="documented",
)
def test_a_post_during_connect_is_gone(one_way: Variant, observe: Observe) -> None:
    with one_way.connect(connect="post") as client:
        outcomes = one_way.records(client.run, "post in $connect")
    assert observe(", ".join(outcomes) or "no outcome") == "410 GoneException"


@fact(
    "3",
    "A function that $connect invokes asynchronously can post when the connection is open.",
    source="repost.aws/knowledge-center/410-gone-api-gateway",
    confidence="documented",
)
def test_a_child_function_posts_after_connect(one_way: Variant, observe: Observe) -> None:
    with one_way.connect(connect="child") as client:
        assert observe(describe(client.receive())) == "from the child"


@fact(
    "4a",
    "$connect opens the connection with any status 2xx, such as 201.",
    source="a user's transcript; serverless-offline#1301",
    confidence="reported",
)
def test_connect_with_another_2xx_status(one_way: Variant, observe: Observe) -> None:
    assert observe(one_way.handshake(status="201")) == "connects"


@fact(
    "4b",
    "Another status of $connect is the handshake's status: 301, 400, 401, 501.",
    source="a user's transcript; DG/websocket-connect-route-subprotocol",
    confidence="reported",
)
def test_the_status_of_connect_is_passed_through(one_way: Variant, observe: Observe) -> None:
    statuses = [one_way.handshake(status=status) for status in REFUSALS]
    assert observe(", ".join(statuses)) == ", ".join(REFUSALS)


@fact(
    "5a",
    "If $connect raises, the handshake's status is 502.",
    source="a user's transcript; aws-lambda-graphql#107",
    confidence="reported",
)
def test_connect_raises(one_way: Variant, observe: Observe) -> None:
    assert observe(one_way.handshake(connect="raise")) == "502"


@fact(
    "5b",
    "If the result of $connect has no valid status, the handshake's status is 502.",
    source="serverless-websockets-plugin#13",
    confidence="reported",
)
def test_connect_returns_no_valid_result(one_way: Variant, observe: Observe) -> None:
    assert observe(one_way.handshake(connect="malformed")) == "502"


@fact(
    "6",
    "If the API may not invoke the function of $connect, the handshake's status is 500.",
    source="terraform-aws-apigateway-v2#8",
    confidence="reported",
)
def test_the_permission_is_missing(without_permission: Variant, observe: Observe) -> None:
    assert observe(handshake_and_run(without_permission)) == "500, $connect does not run"


@fact(
    "9",
    "If $connect refuses a client, the body that it returns is not in the response.",
    source="chalice#1768",
    confidence="reported",
)
def test_the_body_of_connect_is_not_forwarded(one_way: Variant, observe: Observe) -> None:
    body = one_way.refusal_body(status="400", body="from the handler")
    assert observe("connects" if body is None else "is refused") == "is refused"
    found = "forwards the body" if "from the handler" in str(body) else "does not forward the body"
    assert observe(found) == "does not forward the body"


@fact(
    "10",
    "The body of a refusal by API Gateway is JSON with message, connectionId and requestId.",
    source="transcripts of several users",
    confidence="reported",
)
def test_the_body_of_a_refusal(two_way: Variant, observe: Observe) -> None:
    body = two_way.refusal_body(authorizer="deny") or "connects"
    keys = keys_of(json.loads(body)) if body.startswith("{") else "not JSON"
    assert observe(keys) == "connectionId, message, requestId"


@fact(
    "12",
    "Clients connect to an API without the route $connect.",
    source="DG/apigateway-websocket-api-route-keys-connect-disconnect",
    confidence="documented",
)
def test_an_api_without_connect(default_only: Variant, observe: Observe) -> None:
    assert observe(default_only.handshake()) == "connects"


@fact(
    "14",
    "A plain GET for the stage gets status 426.",
    source="serverless-offline, ws.e2e.js",
    confidence="reported",
)
def test_a_plain_request_for_the_stage(one_way: Variant, observe: Observe) -> None:
    url = urlsplit(one_way.url())
    host, port = str(url.hostname), url.port
    connection = (
        http.client.HTTPSConnection(host, port, context=ssl.create_default_context(), timeout=30)
        if url.scheme == "wss"
        else http.client.HTTPConnection(host, port, timeout=30)
    )
    with closing(connection):
        connection.request("GET", url.path)
        assert observe(str(connection.getresponse().status)) == "426"


@fact(
    "57",
    "A handshake beyond the limits of the stage gets status 429, and $connect does not run.",
    source="DG/websocket-api-protect; terraform-provider-aws#14742",
    confidence="documented",
)
def test_a_throttled_handshake(throttled: Variant, observe: Observe) -> None:
    assert observe(handshake_and_run(throttled)) == "429, $connect does not run"


@fact(
    "63a",
    "API Gateway does not choose a subprotocol itself.",
    source="DG/websocket-connect-route-subprotocol; serverless-offline#1176",
    confidence="documented",
)
def test_no_subprotocol_without_the_header(one_way: Variant, observe: Observe) -> None:
    with one_way.connect(subprotocols=["chat"]) as client:
        assert observe(subprotocol_of(client)) == "no subprotocol"


@fact(
    "63b",
    "The client gets the subprotocol that $connect returns in its headers.",
    source="DG/websocket-connect-route-subprotocol",
    confidence="documented",
)
def test_the_subprotocol_of_connect(one_way: Variant, observe: Observe) -> None:
    with one_way.connect(subprotocols=["other", "chat"], subprotocol="chat") as client:
        assert observe(subprotocol_of(client)) == "the subprotocol chat"


@fact(
    "63c",
    "No other header of $connect reaches the client.",
    source="chalice#1768; DG/websocket-connect-route-subprotocol",
    confidence="reported",
)
def test_no_other_header_of_connect(one_way: Variant, observe: Observe) -> None:
    with one_way.connect(subprotocols=["chat"], subprotocol="chat") as client:
        assert client.connection.response is not None
        is_forwarded = "X-Probe" in client.connection.response.headers
    assert observe("forwards X-Probe" if is_forwarded else "forwards none") == "forwards none"


@fact(
    "66",
    "A URL with a token of 2 KB is accepted; the limit is 4,096 characters.",
    source="DG/apigateway-execution-service-websocket-limits-table",
    confidence="documented",
)
def test_a_long_url(one_way: Variant, observe: Observe) -> None:
    outcomes = [one_way.handshake(token="x" * length) for length in (2048, 8192)]
    outcomes[1] = "connects" if outcomes[1] == "connects" else "is refused"
    observe(f"a token of 2 KB {outcomes[0]}, one of 8 KB {outcomes[1]}")
    assert outcomes == ["connects", "is refused"]


@fact(
    "45",
    "A connection that $connect refused has no $disconnect.",
    source="none",
    confidence="inferred",
)
def test_a_refused_connection_has_no_disconnect(one_way: Variant, observe: Observe) -> None:
    run = unique()
    one_way.handshake(run=run, status="403")
    refused = one_way.records(run, "$connect")[0]["requestContext"]["connectionId"]
    with one_way.connect() as client:
        later = client.connection_id
    one_way.records(later, "$disconnect")
    found = one_way.records_now(refused, "$disconnect")
    assert observe(f"{len(found)} $disconnect events") == "0 $disconnect events"
