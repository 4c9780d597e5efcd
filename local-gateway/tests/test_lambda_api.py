"""Lambda's Invoke API, called with boto3."""

import json

import pytest
from botocore.exceptions import ClientError

from gateway_support.serving import Server, serving, unique


def test_an_unknown_function_is_not_found(server: Server) -> None:
    with pytest.raises(server.functions.exceptions.ResourceNotFoundException):
        server.functions.invoke(FunctionName="recorder-other-context")


def test_a_function_is_not_found_by_its_python_name(server: Server) -> None:
    with pytest.raises(server.functions.exceptions.ResourceNotFoundException):
        server.functions.invoke(FunctionName="context")


def test_a_payload_that_is_not_json_is_refused(server: Server) -> None:
    with pytest.raises(server.functions.exceptions.InvalidRequestContentException):
        server.functions.invoke(FunctionName="recorder-local-context", Payload=b"{")


def test_a_payload_with_too_many_levels_is_refused(server: Server) -> None:
    path = "/2015-03-31/functions/recorder-local-context/invocations"
    status, answer = server.request("POST", path, b"[" * 200_000)
    assert status == 400
    assert "Could not parse request body into json" in answer["message"]


def test_an_unknown_invocation_type_is_refused(server: Server) -> None:
    with pytest.raises(ClientError):
        server.functions.invoke(FunctionName="recorder-local-context", InvocationType="Later")


@pytest.mark.parametrize(
    ("function", "error_type", "message"),
    [
        ("fail", "ValueError", "no good"),
        ("fail_unprintably", "Unprintable", "<exception str() failed>"),
        ("not_a_number", "MarshalError", "Out of range float values"),
        ("unmarshallable", "MarshalError", "Unable to marshal response"),
    ],
)
def test_the_response_describes_a_functions_error(
    server: Server, function: str, error_type: str, message: str
) -> None:
    response = server.functions.invoke(FunctionName=f"recorder-local-{function}")
    error = json.load(response["Payload"])

    assert response["StatusCode"] == 200
    assert response["FunctionError"] == "Unhandled"
    assert error["errorType"] == error_type
    assert message in error["errorMessage"]


def test_a_function_that_takes_too_long_times_out() -> None:
    with serving("recorder", "--no-reload", "--stage", "hasty") as server:
        response = server.functions.invoke(
            FunctionName="recorder-hasty-sleep", Payload=b'{"seconds": 1.5}'
        )
        error = json.load(response["Payload"])
    assert response["FunctionError"] == "Unhandled"
    assert error["errorMessage"] == "Task timed out after 1.00 seconds"


@pytest.mark.parametrize(
    "name",
    [
        "recorder-local-context",
        "recorder-local-context:$LATEST",
        "000000000000:recorder-local-context",
        "arn:aws:lambda:us-east-1:000000000000:function:recorder-local-context",
    ],
)
def test_a_function_gets_its_event_and_its_context(server: Server, name: str) -> None:
    response = server.functions.invoke(FunctionName=name, Payload=b'{"a": [1]}')
    context = json.load(response["Payload"])

    assert response["StatusCode"] == 200
    assert context["event"] == {"a": [1]}
    assert context["name"] == "recorder-local-context"
    assert context["memory_mb"] == 256
    assert 19_000 < context["remaining_ms"] <= 20_000


def test_an_event_invocation_is_accepted_and_handled_later(server: Server) -> None:
    name = unique()
    accepted = server.functions.invoke(
        FunctionName="recorder-local-release",
        InvocationType="Event",
        Payload=json.dumps({"name": name}),
    )
    assert accepted["StatusCode"] == 202

    with server.connect() as client:
        client.send(f"wait {name}")
        assert client.recv(10) == f"wait {name}"


def test_an_event_invocation_does_not_wait_for_the_function(server: Server) -> None:
    for _ in range(20):
        server.functions.invoke(
            FunctionName="recorder-local-sleep",
            InvocationType="Event",
            Payload=b'{"seconds": 0.5}',
        )
    assert server.invoke("context", a=1)["event"] == {"a": 1}


def test_a_failed_event_invocation_is_accepted_and_logged() -> None:
    with serving("recorder", "--no-reload") as server:
        accepted = server.functions.invoke(
            FunctionName="recorder-local-fail", InvocationType="Event"
        )
        assert accepted["StatusCode"] == 202
        server.err.wait_for("ValueError: no good")


def test_a_scheduled_function_can_be_invoked(server: Server) -> None:
    event = dict.fromkeys(("version", "account", "region", "detail", "source", "id"), "x")
    event |= {"detail-type": "x", "resources": [], "time": "now"}
    assert server.invoke("clean_up", **event) == "now"
