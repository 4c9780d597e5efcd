"""The Lambda authorizer of $connect."""

import re

from conformance.facts import fact
from conformance.runner import Observe
from conformance.variant import Variant, unique

LAMBDA_AUTHORIZERS = "DG/apigateway-websocket-api-lambda-auth"


@fact(
    "7a",
    "If the authorizer's policy denies, the status is 403 and $connect does not run.",
    source=LAMBDA_AUTHORIZERS,
    confidence="documented",
)
def test_the_authorizer_denies(two_way: Variant, observe: Observe) -> None:
    run = unique()
    status = two_way.handshake(run=run, authorizer="deny")
    ran = "$connect runs" if two_way.records_now(run, "$connect") else "$connect does not run"
    assert observe(f"{status}, {ran}") == "403, $connect does not run"


@fact(
    "7b",
    'If the authorizer raises exactly "Unauthorized", the status is 401.',
    source=LAMBDA_AUTHORIZERS,
    confidence="documented",
)
def test_the_authorizer_raises_unauthorized(two_way: Variant, observe: Observe) -> None:
    assert observe(two_way.handshake(authorizer="unauthorized")) == "401"


@fact(
    "7c",
    "If the authorizer raises another error, the status is 500.",
    source="DG/apigateway-use-lambda-authorizer",
    confidence="documented for REST APIs",
)
def test_the_authorizer_raises(two_way: Variant, observe: Observe) -> None:
    assert observe(two_way.handshake(authorizer="raise")) == "500"


@fact(
    "7d",
    "If the authorizer's result is not an object, the status is 500.",
    source="DG/apigateway-use-lambda-authorizer",
    confidence="documented for REST APIs",
)
def test_the_authorizer_returns_no_object(two_way: Variant, observe: Observe) -> None:
    assert observe(two_way.handshake(authorizer="not_an_object")) == "500"


@fact(
    "7e",
    "If the identity source is missing, the status is 401 and the authorizer does not run.",
    source=LAMBDA_AUTHORIZERS,
    confidence="documented",
)
def test_the_identity_source_is_missing(identity_source: Variant, observe: Observe) -> None:
    run = unique()
    status = identity_source.handshake(run=run)
    ran = identity_source.records_now(run, "authorizer")
    observe(f"{status}, the authorizer {'runs' if ran else 'does not run'}")
    assert (status, ran) == ("401", [])


@fact(
    "16",
    "An authorizer without identity sources also runs for a client without a token.",
    source="API model; Terraform AWS provider, apigatewayv2_authorizer",
    confidence="documented",
)
def test_no_identity_source_is_required(two_way: Variant, observe: Observe) -> None:
    run = unique()
    status = two_way.handshake(run=run)
    ran = two_way.records_now(run, "authorizer")
    observe(f"{status}, the authorizer {'runs' if ran else 'does not run'}")
    assert status == "connects"
    assert ran


@fact(
    "17",
    "With the identity source present, the authorizer runs and decides.",
    source=LAMBDA_AUTHORIZERS,
    confidence="documented",
)
def test_the_identity_source_is_present(identity_source: Variant, observe: Observe) -> None:
    run = unique()
    statuses = [
        identity_source.handshake(run=run, token="x", authorizer=wish) for wish in ("allow", "deny")
    ]
    assert observe(", ".join(statuses)) == "connects, 403"


@fact(
    "19",
    "The authorizer runs for each handshake: its results are not cached.",
    source="API model; sst#905; terraform-provider-aws#15232",
    confidence="documented",
)
def test_results_are_not_cached(two_way: Variant, observe: Observe) -> None:
    run = unique()
    for _ in range(2):
        two_way.handshake(run=run)
    found = two_way.records(run, "authorizer", count=2)
    assert observe(f"{len(found)} runs for 2 handshakes") == "2 runs for 2 handshakes"


@fact(
    "20",
    "The authorizer must return an IAM policy: the simple response of HTTP APIs gets status 500.",
    source="API model",
    confidence="documented",
)
def test_a_simple_response_is_invalid(two_way: Variant, observe: Observe) -> None:
    assert observe(two_way.handshake(authorizer="malformed")) == "500"


@fact(
    "21a",
    "The authorizer's methodArn ends with STAGE/$connect, without a verb.",
    source="powertools-lambda-python#5800",
    confidence="reported",
)
def test_the_method_arn_has_no_verb(two_way: Variant, observe: Observe) -> None:
    with two_way.connect() as client:
        events = two_way.records(client.run, "authorizer")
    arn = events[0].get("methodArn") if events else None
    masked = re.sub(r"[^:]*/[^/]*/", "API/STAGE/", str(arn))
    assert observe(f"...:{masked.rpartition(':')[2]}") == "...:API/STAGE/$connect"


@fact(
    "21b",
    "A policy for API/STAGE/*/*, as helpers for REST APIs write it, gets status 403.",
    source="powertools-lambda-python#5800",
    confidence="reported",
)
def test_a_policy_for_another_resource_denies(two_way: Variant, observe: Observe) -> None:
    assert observe(two_way.handshake(authorizer="wrong_arn")) == "403"


@fact(
    "22",
    "An authorizer's result over 8 KB gets status 500.",
    source="DG/apigateway-execution-service-websocket-limits-table (the limit); the status: none",
    confidence="inferred",
)
def test_a_large_result(two_way: Variant, observe: Observe) -> None:
    assert observe(two_way.handshake(authorizer="large")) == "500"


@fact(
    "23",
    "Events of $connect, messages and $disconnect contain the authorizer's context and principal.",
    source="serverless-offline#1379, #1380",
    confidence="reported",
)
def test_all_events_have_the_context(two_way: Variant, observe: Observe) -> None:
    with two_way.connect() as client:
        client.send("id")
        client.receive()
        connection_id = client.connection_id
    found = {
        "$connect": two_way.records(client.run, "$connect"),
        "$default": two_way.records(connection_id, "$default"),
        "$disconnect": two_way.records(connection_id, "$disconnect"),
    }
    missing = [route for route, events in found.items() if not _has_context(events)]
    assert observe(f"missing in {', '.join(missing) or 'none'}") == "missing in none"


def _has_context(events: list[dict[str, dict[str, dict[str, str]]]]) -> bool:
    context = events[0]["requestContext"].get("authorizer") or {} if events else {}
    return (context.get("principalId"), context.get("color")) == ("probe", "blue")


@fact(
    "24a",
    "Numbers and booleans of the context become strings.",
    source="DG/apigateway-websocket-api-mapping-template-reference",
    confidence="inferred",
)
def test_context_values_are_strings(two_way: Variant, observe: Observe) -> None:
    with two_way.connect(authorizer="context") as client:
        event = two_way.records(client.run, "$connect")[0]
    context = event["requestContext"].get("authorizer") or {}
    values = [context.get(name) for name in ("text", "number", "flag")]
    assert observe(repr(values)) == "['one', '1', 'true']"


@fact(
    "24b",
    "A context with a nested object gets status 500.",
    source="DG/apigateway-websocket-api-mapping-template-reference; the status: none",
    confidence="inferred",
)
def test_a_nested_context_is_invalid(two_way: Variant, observe: Observe) -> None:
    assert observe(two_way.handshake(authorizer="nested")) == "500"


@fact(
    "25",
    "The authorizer runs at the handshake only, and not for messages.",
    source="DG/apigateway-websocket-api-route-keys-connect-disconnect",
    confidence="documented",
)
def test_messages_are_not_authorized(two_way: Variant, observe: Observe) -> None:
    with two_way.connect() as client:
        for _ in range(2):
            client.send("reply", body="x")
            client.receive()
        found = two_way.records_now(client.run, "authorizer")
    assert observe(f"{len(found)} run for 2 messages") == "1 run for 2 messages"
