"""Valid and invalid results of authorizers."""

from typing import Any

import pytest

from local_gateway.policy import InvalidResult, authorizer_context, is_allowed

ARN = "arn:aws:execute-api:us-east-1:000000000000:local_gateway0/local/$connect"


def result(*statements: Any, **more: Any) -> dict[str, Any]:
    return {"principalId": "x", "policyDocument": {"Statement": list(statements)}, **more}


def statement(
    effect: str = "Allow", action: Any = "execute-api:Invoke", resource: Any = ARN
) -> Any:
    return {"Effect": effect, "Action": action, "Resource": resource}


@pytest.mark.parametrize(
    "value",
    [
        None,
        "Allow",
        [],
        {},
        {"principalId": "x"},
        {"principalId": "x", "policyDocument": "Allow"},
        {"policyDocument": {"Statement": [statement()]}},
        {"principalId": 7, "policyDocument": {"Statement": [statement()]}},
        {"principalId": "x", "policyDocument": {}},
        result("Allow"),
        result({"Effect": "Allow", "Action": "*"}),
        result({"Effect": "Allow", "Resource": "*"}),
        result(statement("allow")),
        result(statement(action=[])),
        result(statement(resource=[7])),
        result({**statement(), "Condition": {}}),
        result(statement(), padding="x" * 8 * 1024),
    ],
)
def test_an_invalid_policy_is_refused(value: Any) -> None:
    with pytest.raises(InvalidResult):
        is_allowed(value, ARN)


@pytest.mark.parametrize(
    "value",
    [
        result(),
        result(statement("Deny")),
        result(statement(action="execute-api:ManageConnections")),
        result(statement(action="lambda:*")),
        result(statement(resource="arn:aws:execute-api:*:*:local_gateway0/local/*/*")),
        result(statement(resource=ARN.replace("local", "prod"))),
        result(statement(resource=ARN + "x")),
        result(statement(), statement("Deny", "*", "*")),
        result(statement("Deny", resource="*$connect"), statement()),
        result(statement(resource=ARN.upper())),
    ],
)
def test_a_request_without_allow_or_with_deny_is_refused(value: Any) -> None:
    assert not is_allowed(value, ARN)


@pytest.mark.parametrize(
    "value",
    [
        result(statement()),
        result(statement(action="*", resource="*")),
        result(statement(action="execute-api:*")),
        result(statement(action="EXECUTE-API:invoke")),
        result(statement(action=["lambda:x", "execute-api:Inv?ke"])),
        result(statement(resource=["x", "arn:aws:execute-api:*:*:local_gateway0/local/*"])),
        result(statement(resource="arn:*/$connect")),
        result(statement(resource="*" * 14 + "t")),
        result(statement(resource="a*" * 2 + "connect")),
        result(statement(), statement("Deny", resource="arn:aws:execute-api:*:*:other/*")),
        {"principalId": "x", "policyDocument": {"Statement": statement()}},
    ],
)
def test_a_matching_request_is_allowed(value: Any) -> None:
    assert is_allowed(value, ARN)


@pytest.mark.parametrize("pattern", ["*" * 14 + "z", "a*" * 30, "*a" * 25 + "z", "*[a]", "*[!z]*"])
def test_a_resource_of_many_wildcards_does_not_match_another_arn(pattern: str) -> None:
    assert not is_allowed(result(statement(resource=pattern)), ARN)


@pytest.mark.parametrize("context", [{"a": {}}, {"a": []}, {"a": None}, ["a"], "a"])
def test_a_context_with_other_values_than_scalars_is_invalid(context: Any) -> None:
    with pytest.raises(InvalidResult):
        authorizer_context(result(context=context), 0)


def test_scalars_of_a_context_become_strings() -> None:
    context = {"a": True, "b": 1, "c": 1.5, "d": "x"}
    assert authorizer_context(result(context=context), 7) == {
        "a": "true",
        "b": "1",
        "c": "1.5",
        "d": "x",
        "principalId": "x",
        "integrationLatency": 7,
    }
