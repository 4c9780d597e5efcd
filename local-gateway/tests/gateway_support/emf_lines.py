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
    """Return a log line with metrics of one unit.

    Args:
        values: The metrics' values by name.
        unit: The CloudWatch unit of all metrics.
        dimensions: The sets of dimensions.
        namespace: The CloudWatch namespace.
        **labels: The dimensions' values.
    """
    metrics = [{"Name": name} | ({"Unit": unit} if unit else {}) for name in values]
    directive = {"Namespace": namespace, "Dimensions": dimensions, "Metrics": metrics}
    metadata = {"_aws": {"Timestamp": 1_790_000_000_000, "CloudWatchMetrics": [directive]}}
    return json.dumps(metadata | {"Stage": "local"} | labels | values)
