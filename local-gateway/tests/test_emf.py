"""Parsing of lines with metrics, first of lines that CloudWatch would reject."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_support.emf_lines import emf
from local_gateway.emf import InvalidEmf, Metric, Point, parse

GOOD = json.loads(emf({"Joins": 1}))


def changed(**members: Any) -> str:
    """Return the valid line with other metadata."""
    return json.dumps({**GOOD, "_aws": {**GOOD["_aws"], **members}})


def directed(**members: Any) -> str:
    """Return the valid line with another directive."""
    directive = {**GOOD["_aws"]["CloudWatchMetrics"][0], **members}
    return changed(CloudWatchMetrics=[directive])


@pytest.mark.parametrize(
    "line",
    [
        "",
        "{",
        "null",
        "[]",
        '"_aws"',
        '{"_aws": null}',
        '{"_aws": []}',
        '{"_aws": {}}',
        "[" * 100_000,
        '{"_aws": ' + "1" * 5000 + "}",
        changed(Timestamp=None),
        changed(Timestamp="now"),
        changed(Timestamp=True),
        changed(CloudWatchMetrics=None),
        changed(CloudWatchMetrics={"a": 1}),
        changed(CloudWatchMetrics=["a"]),
        changed(CloudWatchMetrics=[{}]),
        directed(Namespace=""),
        directed(Namespace=None),
        directed(Namespace="x" * 1025),
        directed(Dimensions=None),
        directed(Dimensions=["Stage"]),
        directed(Dimensions=[["Missing"]]),
        directed(Dimensions=[[1]]),
        directed(Dimensions=[[""]]),
        directed(Metrics=None),
        directed(Metrics=["Joins"]),
        directed(Metrics=[{}]),
        directed(Metrics=[{"Name": "Missing"}]),
        directed(Metrics=[{"Name": ["Joins"]}]),
        directed(Metrics=[{"Name": "Joins", "Unit": "Furlongs"}]),
        directed(Metrics=[{"Name": "Joins", "Unit": None}]),
        directed(Metrics=[{"Name": "Joins", "Unit": []}]),
        emf({"Joins": "1"}),
        emf({"Joins": None}),
        emf({"Joins": True}),
        emf({"Joins": []}),
        emf({"Joins": [1] * 101}),
        emf({"Joins": [1, "2"]}),
        emf({"Joins": float("nan")}),
        emf({"Joins": float("inf")}),
        emf({"Joins": 10**400}),
        emf({"Joins": 1}).replace(": 1}", ": 1e999}"),
        emf({"Joins": 1}, Stage=1),
        emf({"Joins": 1}, Stage=""),
        emf({"Joins": 1}) + "x",
        emf({"Joins": 1, "Leaves": "1"}),
    ],
)
def test_an_invalid_line_is_refused(line: str) -> None:
    with pytest.raises(InvalidEmf):
        parse(line)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda held: (
            st.lists(held)
            | st.dictionaries(
                st.sampled_from(
                    ["_aws", "Timestamp", "CloudWatchMetrics", "Namespace", "Dimensions", "Metrics"]
                )
                | st.text(),
                held,
            )
        ),
    )
)
def test_no_line_raises_any_other_exception(held: Any) -> None:
    for line in (json.dumps(held), json.dumps({"_aws": held}), directed(Metrics=held)):
        try:
            parse(line)
        except InvalidEmf:
            continue


def test_a_metric_has_the_dimensions_of_all_sets() -> None:
    line = emf({"Errors": 2}, "Count", [["Stage"], ["Stage", "Code"]], Code="NOT_FOUND")
    labels = (("Stage", "local"), ("Code", "NOT_FOUND"))
    assert parse(line) == [Point(Metric("TestApp", "Errors", "Count"), labels, (2.0,))]


def test_a_metric_can_have_no_dimension_no_unit_and_many_values() -> None:
    assert parse(emf({"Load": [1, 2.5]}, None, [])) == [
        Point(Metric("TestApp", "Load", "None"), (), (1.0, 2.5))
    ]
