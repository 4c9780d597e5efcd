"""The duration of a notice to a large audience, under API Gateway's quota.

The speaker's pause, the split into slices and the posts are the application's own code. Each
invocation of the function `outcome` is a warm process with its own client. Three things are
models: DynamoDB and Lambda answer after a fixed time, and @connections is one server with the
account's quota. All processes share the machine's processors. Ten functions on two processors have
about the share that Lambda gives a function of 350 MB, but the server takes some of it. So the
figures of the large audiences are upper bounds.
"""

import time

from bench import report
from bench.report import Row, Target
from benchmarks.large_stage import Stage, running_stage

RECEIVERS = (500, 2000, 10_000)
ROUNDS = 9
LATENCY_MS = 15
QUOTA, BUCKET = 10_000, 5_000
"""API Gateway's default requests a second, and its bucket. Source: "Amazon API Gateway quotas"."""

FULL_BUCKET_SECONDS = 0.5
"""After this time without requests, the bucket is full."""

TARGETS = {500: Target("median", "at most", 300)}


def measure() -> list[Row]:
    """Measure and print.

    Raises:
        NotStarted: The server didn't start.
    """
    report.print_section("A pause of a large audience, under the account's quota")
    rows = []
    with running_stage(LATENCY_MS, QUOTA, BUCKET) as stage:
        for receivers in RECEIVERS:
            rows += _measure(stage, receivers)
    return rows


def _measure(stage: Stage, receivers: int) -> list[Row]:
    """Measure one audience. The first round is a warm-up."""
    target = TARGETS.get(receivers)
    posts = Row("first post to last post", target=target)
    whole = Row("first write to last post", target=target)
    for number in range(-1, ROUNDS):
        time.sleep(FULL_BUCKET_SECONDS)
        run = stage.pause(receivers)
        if number >= 0:
            posts.figures.append((run.last_post_at - run.first_post_at) * 1000)
            whole.figures.append((run.last_post_at - run.first_write_at) * 1000)
            posts.failed += run.failed
            posts.lost += receivers - run.reached - run.failed
    title = (
        f"{receivers:,} receivers, {run.invocations} invocation{'s' * (run.invocations > 1)}, each "
        f"post answered after {LATENCY_MS} ms, {QUOTA:,} a second, ms ({ROUNDS} rounds)"
    )
    report.print_table(title, [posts, whole])
    return [posts, whole]
