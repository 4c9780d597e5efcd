"""The validation of faults and the random selection."""

import math
from typing import Any

import pytest

from local_gateway.faults import (
    FaultInjected,
    FaultInjector,
    Faults,
    InvalidFault,
    check_targets,
    parse_fault,
)
from local_gateway.functions import Function


def function_of(label: str) -> Function:
    return Function(f"x-local-{label}", label, lambda event, context: event, 60, 128)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("nonsense", 1),
        ("post_gone_share", -0.1),
        ("post_gone_share", 1.1),
        ("post_gone_share", math.nan),
        ("post_gone_share", "0.5"),
        ("post_gone_share", True),
        ("post_gone_share", None),
        ("post_slow_ms", -1),
        ("post_slow_ms", math.inf),
        ("post_slow_ms", 86_400_001),
        ("post_slow_ms", 10**400),
        ("disconnect_late_seconds", 86_401),
        ("lambda_concurrency", -1),
        ("lambda_concurrency", 1001),
        ("lambda_concurrency", 1.5),
        ("lambda_concurrency", math.nan),
        ("lambda_concurrency", True),
        ("lambda_concurrency", "10"),
        ("handler_only", 1),
        ("dynamodb_only_table", ["a"]),
    ],
)
def test_an_invalid_name_or_value_is_refused(name: str, value: Any) -> None:
    with pytest.raises(InvalidFault, match=name):
        Faults().changed({name: value})


@pytest.mark.parametrize("text", ["", "post_gone_share", "post_gone_share=much", "nonsense=1"])
def test_an_invalid_command_line_argument_is_refused(text: str) -> None:
    with pytest.raises(InvalidFault):
        Faults().changed(dict([parse_fault(text)]))


def test_a_command_line_value_is_a_number_a_string_or_null() -> None:
    assert parse_fault("post_slow_ms=1.5") == ("post_slow_ms", 1.5)
    assert parse_fault("handler_only=12") == ("handler_only", "12")
    assert Faults().changed(dict([parse_fault("lambda_concurrency=null")])) == Faults()
    assert Faults().changed(dict([parse_fault("lambda_concurrency=10")])).lambda_concurrency == 10


@pytest.mark.parametrize(
    ("faults", "missing"),
    [
        (Faults(handler_only="mop"), "clean_up"),
        (Faults(dynamodb_only_table="users"), "rooms"),
    ],
)
def test_an_unknown_target_is_refused_with_the_known_ones(faults: Faults, missing: str) -> None:
    with pytest.raises(InvalidFault, match=missing):
        check_targets(faults, ["clean_up"], ["rooms"])


def test_faults_of_dynamodb_without_the_embedded_aws_are_refused() -> None:
    with pytest.raises(InvalidFault, match="need the embedded AWS"):
        check_targets(Faults(dynamodb_slow_ms=1), [], [])


def test_a_share_selects_that_share_of_requests() -> None:
    injector = FaultInjector(seed=1)
    assert not any(injector.selects(0) for _ in range(1000))
    assert all(injector.selects(1) for _ in range(1000))
    assert sum(injector.selects(0.3) for _ in range(10_000)) == pytest.approx(3000, rel=0.1)


def test_the_seed_determines_the_selected_requests() -> None:
    first, same, another = (
        [injector.selects(0.5) for _ in range(100)]
        for injector in (FaultInjector(1), FaultInjector(1), FaultInjector(2))
    )
    assert first == same
    assert first != another


def test_a_selected_handler_raises_before_its_code_runs() -> None:
    injector = FaultInjector(seed=1)
    injector.faults = Faults(handler_raises_share=1)
    with pytest.raises(FaultInjected):
        injector.wrap(function_of("clean_up"))({})


def test_a_handler_that_is_not_the_target_is_not_wrapped() -> None:
    injector = FaultInjector(seed=1)
    injector.faults = Faults(handler_raises_share=1, handler_only="clean_up")
    function = function_of("$default")
    assert injector.wrap(function) is function


def test_a_delay_without_a_share_applies_always_and_a_share_without_a_delay_never() -> None:
    injector = FaultInjector(seed=1)
    function = function_of("clean_up")
    injector.faults = Faults(handler_slow_ms=1)
    assert injector.wrap(function) is not function
    injector.faults = Faults(handler_slow_share=1)
    assert injector.wrap(function) is function
