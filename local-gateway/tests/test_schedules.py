"""Scheduled functions on a fast clock."""

import json
import re
from pathlib import Path

import pytest

from gateway_support.serving import SECONDS, Server, serving, write_project

APP = """
import json, threading, time
from chalice import Chalice, Cron, Rate
app = Chalice("x")
STARTED = threading.Semaphore(0)

def report(*words):
    print(*words, flush=True)
"""
FAST = ("--clock-rate", "1200")
"""With this option, a minute takes 50 ms."""

CLEAN_UP = """
@app.schedule("rate(1 minute)")
def clean_up(event):
    report("event", json.dumps(event.to_dict()))
"""


def test_the_event_has_eventbridges_format(tmp_path: Path) -> None:
    with serving(write_project(tmp_path, APP + CLEAN_UP), *FAST) as server:
        server.out.wait_for("event ", count=3)
        lines = [line for line in server.out.lines if line.startswith("event ")]
        server.out.wait_for("schedule x-local-clean_up ok")
    first, second = (json.loads(line.removeprefix("event ")) for line in lines[:2])

    assert first.keys() == second.keys()
    assert first.pop("id") != second.pop("id")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", first["time"])
    assert first.pop("time") < second.pop("time")
    assert first == second
    assert first == {
        "version": "0",
        "detail-type": "Scheduled Event",
        "source": "aws.events",
        "account": "000000000000",
        "region": "us-east-1",
        "resources": ["arn:aws:events:us-east-1:000000000000:rule/x-local-clean_up-event"],
        "detail": {},
    }


def test_a_failure_is_logged_and_does_not_stop_the_schedule(tmp_path: Path) -> None:
    app = (
        APP
        + '@app.schedule("rate(1 minute)")\ndef clean_up(event):\n    raise ValueError("dust")\n'
    )
    with serving(write_project(tmp_path, app), *FAST) as server:
        server.err.wait_for("ValueError: dust", count=2)
        server.err.wait_for("schedule x-local-clean_up failed", count=2)
        server.out.wait_for("schedule x-local-clean_up failed", count=2)


def test_a_run_does_not_wait_for_the_previous_one(tmp_path: Path) -> None:
    app = """
RUNS = []

@app.schedule("rate(1 minute)")
def clean_up(event):
    RUNS.append(event)
    if len(RUNS) == 1:
        STARTED.acquire(timeout=10)
        report("the first ends")
    elif len(RUNS) == 3:
        report("the third runs")
        STARTED.release()
"""
    with serving(write_project(tmp_path, APP + app), *FAST) as server:
        server.out.wait_for("the first ends")
        said = [line for line in server.out.lines if "the " in line]
    assert said == ["the third runs\n", "the first ends\n"]


def test_rates_and_crons_can_be_objects(tmp_path: Path) -> None:
    app = """
@app.schedule(Rate(2, unit=Rate.MINUTES))
def rated(event):
    report("rated")

@app.schedule(Cron("*", "*", "*", "*", "?", "*"))
def timed(event):
    report("timed", event.to_dict()["time"])
"""
    with serving(write_project(tmp_path, APP + app), *FAST) as server:
        server.out.wait_for("rated")
        assert ":00Z" in server.out.wait_for("timed")


def test_a_function_has_its_own_timeout(tmp_path: Path) -> None:
    functions = {"clean_up": {"lambda_timeout": 1}}
    config = {"app_name": "x", "stages": {"local": {"lambda_functions": functions}}}
    app = '@app.schedule("rate(1 hour)")\ndef clean_up(event):\n    time.sleep(1.6)\n'
    project = write_project(tmp_path, APP + app, json.dumps(config))
    with serving(project, "--clock-rate", "36000") as server:
        server.err.wait_for("schedule x-local-clean_up failed: no result within 1 s")


def test_a_throttled_run_is_one_line(tmp_path: Path) -> None:
    project = write_project(tmp_path, APP + CLEAN_UP)
    with serving(project, *FAST, "--fault", "lambda_concurrency=0") as server:
        server.out.wait_for("schedule x-local-clean_up throttled")
    assert server.err.join() == ""


def test_a_reload_applies_the_new_schedules(tmp_path: Path) -> None:
    project = write_project(tmp_path, APP + CLEAN_UP)
    with serving(project, *FAST) as server:
        server.out.wait_for("event ")
        (project / "app.py").write_text(APP + CLEAN_UP.replace("clean_up", "mop"))
        server.out.wait_for("schedule x-local-mop ok", count=2)
        reloaded_at = server.out.lines.index(server.out.wait_for("reloaded"))
        after = server.out.lines[reloaded_at + 1 :]
    assert (
        sum("schedule x-local-clean_up" in line for line in after) <= 1
    )  # One run had already started.


def test_an_invalid_expression_prevents_the_start(tmp_path: Path) -> None:
    project = write_project(tmp_path, APP + CLEAN_UP.replace("1 minute", "1 minutes"))
    server = Server(project)
    assert server.process.wait(SECONDS) == 1
    server.out.join()
    assert server.err.join() == (
        "chalice-local-gateway: invalid schedule of clean_up: 'rate(1 minutes)': "
        "EventBridge requires the singular minute with 1, and minutes otherwise\n"
    )


@pytest.mark.parametrize("rate", ["0", "0.5", "-1", "nan", "inf", "100001", "fast"])
def test_an_invalid_clock_rate_is_refused(tmp_path: Path, rate: str) -> None:
    server = Server(tmp_path, f"--clock-rate={rate}")
    assert server.process.wait(SECONDS) == 2
    server.out.join()
    assert "--clock-rate" in server.err.join()
