"""Throttled and duplicate invocations of functions."""

import json
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus

from gateway_support.serving import Server, serving
from local_gateway.async_invocation import MAX_AGE_SECONDS, MAX_RETRY_SECONDS, AsyncInvocation
from local_gateway.faults import FaultInjector, Throttled
from local_gateway.functions import Function


def connect_status(server: Server) -> int:
    """Connect, and return the status of the refusal."""
    with pytest.raises(InvalidStatus) as refused:
        server.connect()
    return refused.value.response.status_code


def record_later(server: Server, principal: str) -> int:
    """Invoke the function `record` asynchronously, and return the response's status."""
    response = server.functions.invoke(
        FunctionName="recorder-local-record",
        InvocationType="Event",
        Payload=json.dumps({"principal": principal}),
    )
    return response["StatusCode"]


# The concurrency.


def test_an_authorizer_over_the_limit_refuses_with_500(faulty_server: Server) -> None:
    faulty_server.set_faults(lambda_concurrency=0)
    assert connect_status(faulty_server) == 500


def test_a_connect_handler_over_the_limit_refuses_with_500() -> None:
    with serving("one_way", "--no-reload", "--fault", "lambda_concurrency=0") as server:
        assert connect_status(server) == 500


def test_a_message_over_the_limit_gets_the_gateways_error(
    faulty_server: Server, principal: str
) -> None:
    with faulty_server.connect() as busy, faulty_server.connect() as client:
        busy.send(f"wait {principal}")
        faulty_server.invoke("next_started", name=principal)
        faulty_server.set_faults(lambda_concurrency=1)
        client.send("hello")
        assert json.loads(client.recv())["message"] == "Internal server error"

        faulty_server.set_faults(lambda_concurrency=2)
        client.send("hello")
        assert client.recv() == "hello"
        faulty_server.invoke("release", name=principal)


def test_a_disconnect_over_the_limit_is_lost(faulty_server: Server, principal: str) -> None:
    with faulty_server.connect(principal):
        faulty_server.set_faults(lambda_concurrency=0)
    faulty_server.out.wait_for("$disconnect 1000 failed")
    faulty_server.set_faults()
    assert faulty_server.next_event("$disconnect", principal, seconds=0) is None


def test_an_invocation_over_the_limit_is_refused(faulty_server: Server) -> None:
    faulty_server.set_faults(lambda_concurrency=0)
    with pytest.raises(faulty_server.functions.exceptions.TooManyRequestsException) as refused:
        faulty_server.functions.invoke(FunctionName="recorder-local-context")
    response = refused.value.response
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 429
    assert response["Reason"] == "ConcurrentInvocationLimitExceeded"


def test_an_asynchronous_invocation_over_the_limit_runs_later(
    faulty_server: Server, principal: str
) -> None:
    faulty_server.set_faults(lambda_concurrency=0)
    assert record_later(faulty_server, principal) == 202
    faulty_server.out.wait_for("lambda recorder-local-record throttled")
    faulty_server.set_faults()
    assert faulty_server.next_event("record", principal) == {"principal": principal}


class ThrottlingGateway:
    """A gateway that throttles every invocation, and skips the waits."""

    fault_injector = FaultInjector(seed=1)
    is_stopping = False

    def __init__(self) -> None:
        self.loop = self.log = self
        self.runs = 0
        self.waits: list[float] = []
        self._late: list[Any] = []

    def time(self) -> float:
        return 0

    def repeated(self, _name: str, _outcome: str, _started: float) -> None:
        pass

    def run(self, _function: Function, _event: Any, _timeout_seconds: float, done: Any) -> None:
        self.runs += 1
        done(None, Throttled())

    def call_late(self, seconds: float, callback: Any) -> None:
        self.waits.append(seconds)
        self._late.append(callback)

    def skip_waits(self) -> None:
        while self._late:
            self._late.pop()()


def invoke(gateway: Any) -> None:
    AsyncInvocation(gateway, Function("x-local-f", "f", lambda *_: None, 60, 128), b"{}").start()


def test_retries_of_a_throttled_invocation_become_rarer_and_end_after_six_hours() -> None:
    gateway = ThrottlingGateway()
    invoke(gateway)
    gateway.skip_waits()
    assert gateway.waits[:11] == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]
    assert gateway.runs == len(gateway.waits) + 1
    assert MAX_AGE_SECONDS - MAX_RETRY_SECONDS <= sum(gateway.waits) < MAX_AGE_SECONDS


def test_a_stopping_server_does_not_retry() -> None:
    gateway = ThrottlingGateway()
    invoke(gateway)
    gateway.is_stopping = True
    gateway.skip_waits()
    assert gateway.runs == 1


# Duplicates.


def test_a_duplicate_invocation_is_the_same_event(faulty_server: Server, principal: str) -> None:
    faulty_server.set_faults(invocation_twice_share=1)
    assert record_later(faulty_server, principal) == 202
    for _ in range(2):
        assert faulty_server.next_event("record", principal) == {"principal": principal}


def test_only_asynchronous_invocations_are_duplicated(
    faulty_server: Server, principal: str
) -> None:
    faulty_server.set_faults(invocation_twice_share=1)
    faulty_server.invoke("record", principal=principal)
    assert faulty_server.next_event("record", principal) == {"principal": principal}
    assert faulty_server.next_event("record", principal, seconds=0) is None
