"""Lines in the embedded metric format."""

import json
from typing import Any


def emf(
    values: dict[str, Any],
    unit: str | None = "Count",
    dimensions: Any = (("Stage",),),
    namespace: str = "TestApp",
    **labels: Any,
) -> str:
    """Write a line as an application does: metrics of one unit, and what they are split by."""
    metrics = [{"Name": name} | ({"Unit": unit} if unit else {}) for name in values]
    directive = {"Namespace": namespace, "Dimensions": dimensions, "Metrics": metrics}
    held = {"_aws": {"Timestamp": 1_790_000_000_000, "CloudWatchMetrics": [directive]}}
    return json.dumps(held | {"Stage": "local"} | labels | values)
