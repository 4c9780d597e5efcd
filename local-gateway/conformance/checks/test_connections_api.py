"""The @connections API."""

from urllib.parse import urlsplit

import pytest

from conformance.facts import fact
from conformance.runner import Observe
from conformance.variant import Variant, keys_of

KB = 1024
API_MODEL = "API model"
UNKNOWN_ID = "L0SM9cOFvHcCIhw="
"""A connection ID of AWS's form, which no target gives to a client."""

MAX_POSTS = 150
"""Posts of 128 KB until the suite stops waiting for a full buffer. AWS documents no size."""


@fact(
    "75a",
    "GET returns ConnectedAt, LastActiveAt and Identity with SourceIp and UserAgent.",
    source=API_MODEL,
    confidence="documented",
)
def test_get_connection(one_way: Variant, observe: Observe) -> None:
    with one_way.connect() as client:
        assert observe(one_way.outcome("get_connection", client.connection_id)) == "200"
        answer = one_way.connections().get_connection(ConnectionId=client.connection_id)
    found = {it for it in answer if it != "ResponseMetadata"} | set(answer.get("Identity") or {})
    missing = {"ConnectedAt", "Identity", "LastActiveAt", "SourceIp", "UserAgent"} - found
    assert observe(f"without {keys_of(missing)}") == "without none"


@fact("75b", "DELETE returns 204.", source=API_MODEL, confidence="documented")
def test_delete_connection(one_way: Variant, observe: Observe) -> None:
    with one_way.connect() as client:
        assert observe(one_way.outcome("delete_connection", client.connection_id)) == "204"


@fact(
    "75c",
    "A POST of 128 KB is accepted with a status 2xx.",
    source=API_MODEL,
    confidence="documented",
)
def test_a_post_of_128_kb(one_way: Variant, observe: Observe) -> None:
    with one_way.connect() as client:
        outcome = one_way.outcome(
            "post_to_connection", client.connection_id, Data=b"x" * (128 * KB)
        )
        frame = client.receive()
    observe(f"{outcome}, then {len(frame):,} characters")
    assert outcome.startswith("2")
    assert len(frame) == 128 * KB


@fact(
    "76a",
    "A POST to a connection that never existed fails with 410 GoneException.",
    source=API_MODEL,
    confidence="documented",
)
def test_a_post_to_an_unknown_connection(one_way: Variant, observe: Observe) -> None:
    outcome = one_way.outcome("post_to_connection", UNKNOWN_ID, Data=b"x")
    assert observe(outcome) == "410 GoneException"


@fact(
    "76b",
    "GET, POST and DELETE for a closed connection fail with 410 GoneException.",
    source=API_MODEL,
    confidence="documented",
)
def test_a_closed_connection_is_gone(one_way: Variant, observe: Observe) -> None:
    with one_way.connect() as client:
        connection_id = client.connection_id
    one_way.records(connection_id, "$disconnect")
    outcomes = {
        one_way.outcome("get_connection", connection_id),
        one_way.outcome("post_to_connection", connection_id, Data=b"x"),
        one_way.outcome("delete_connection", connection_id),
    }
    assert observe(", ".join(sorted(outcomes))) == "410 GoneException"


@fact(
    "76c",
    "A POST over 128 KB fails with 413 PayloadTooLargeException.",
    source=API_MODEL,
    confidence="documented",
)
def test_a_post_over_128_kb(one_way: Variant, observe: Observe) -> None:
    with one_way.connect() as client:
        outcome = one_way.outcome(
            "post_to_connection", client.connection_id, Data=b"x" * (128 * KB + 1)
        )
    assert observe(outcome) == "413 PayloadTooLargeException"


@fact(
    "77",
    "A malformed connection ID fails with 400 BadRequestException, which boto3 doesn't model.",
    source="localstack#4694",
    confidence="reported",
)
def test_a_malformed_connection_id(one_way: Variant, observe: Observe) -> None:
    outcome = one_way.outcome("post_to_connection", "not-an-id", Data=b"x")
    assert observe(outcome) == "400 BadRequestException"


@fact(
    "78",
    "An endpoint without the stage fails with 403 ForbiddenException.",
    source="csdcorp.com/blog/coding/aws-websocket-403-using-posttoconnect; aws-sdk-php#1955",
    confidence="reported",
)
def test_an_endpoint_without_the_stage(one_way: Variant, observe: Observe) -> None:
    if not urlsplit(one_way.api.management_url).path.strip("/"):
        pytest.skip("its URLs contain no stage")
    without_stage = one_way.api.management_url.rstrip("/").rpartition("/")[0]
    with one_way.connect() as client:
        outcome = one_way.outcome(
            "post_to_connection", client.connection_id, url=without_stage, Data=b"x"
        )
    assert observe(outcome) == "403 ForbiddenException"


@fact(
    "79",
    "Posts to a client that doesn't read fail with 429 LimitExceededException: its buffer is full.",
    source=f"{API_MODEL}; gchq/sleeper#7494",
    confidence="documented",
)
def test_a_client_that_does_not_read(one_way: Variant, observe: Observe) -> None:
    with one_way.connect(is_reading=False) as client:
        for _ in range(MAX_POSTS):
            outcome = one_way.outcome(
                "post_to_connection", client.connection_id, Data=b"x" * 128 * KB
            )
            if not outcome.startswith("2"):
                break
    is_accepted = outcome.startswith("2")
    observe(f"accepts {MAX_POSTS} posts of 128 KB" if is_accepted else outcome)
    assert outcome == "429 LimitExceededException"
