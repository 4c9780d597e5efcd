"""The CPU time of each Lambda function's cold start, compared with two Chalice applications.

Each start is a new interpreter that imports app.py in the environment of the function. The import
builds the objects of the handler. The bytecode is already compiled, as in the packaged zip.
"""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from bench import report
from bench.report import Row, Target
from bench.servers import TRIVIAL
from benchmarks.servers import ROOT
from local_gateway.aws import embedded_aws
from local_gateway.aws_options import AwsOptions

ROUNDS = 9
FUNCTIONS = ("authorizer", "connect", "message", "disconnect", "outcome", "sweep")
BOTO3_CLIENTS = Path(__file__).parent / "boto3_clients"
START_SECONDS = 60

# Prints the CPU milliseconds of the interpreter's start, those of the import, the peak of memory in
# KiB, and the number of imported modules of boto3 and botocore. It imports only `resource` and
# `sys`, because further imports would hide a part of app.py's cost. It doesn't use ru_maxrss, which
# includes the peak of the parent.
_CHILD = """
import resource, sys
def cpu_ms():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return (used.ru_utime + used.ru_stime) * 1000
started = cpu_ms()
import app
ended = cpu_ms()
peak = next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM:"))
names = [name for name in sys.modules if name.partition(".")[0] in ("boto3", "botocore")]
print(started, ended - started, peak, len(names))
"""


class NotImported(Exception):
    """The child process failed. The message is the end of its stderr."""


@dataclass(frozen=True, slots=True)
class Start:
    """The figures of one cold start."""

    interpreter_ms: float
    import_ms: float
    peak_mib: float
    boto3_modules: int


def measure() -> list[Row]:
    """Measure and print.

    Raises:
        EmbeddedAwsError: The embedded AWS didn't start.
        NotImported: A function can't be imported.
    """
    report.print_section("Cold starts")
    with embedded_aws(ROOT, "bench-cold", _tables()) as aws:
        environment = {
            **aws,
            "OUTCOME_FUNCTION": "bench-cold-outcome",
            "CONNECTIONS_URL": "https://api.execute-api.us-east-1.amazonaws.com/cold",
            "HASH_KEY": "bench",
            "LOG_LEVEL": "ERROR",
        }
        return _measure(environment)


def _tables() -> AwsOptions:
    return AwsOptions(json.loads((ROOT / "chalicelib" / "tables.json").read_text()), user_pool={})


def _measure(environment: dict[str, str]) -> list[Row]:
    interpreter = Row("the interpreter's own start, not included below")
    nothing = Row("a Chalice application that does nothing")
    clients = Row("one that creates both boto3 clients", yardstick=nothing)
    functions = {name: Row(name, yardstick=nothing) for name in FUNCTIONS}
    for name, function in functions.items():
        function.target = Target("ratio", "at most", 3 if name == "authorizer" else 4)
    modules = Row("in all functions", target=Target("median", "at most", 0))
    for number in range(-1, ROUNDS):
        start = _start(TRIVIAL, environment)
        started = {
            nothing.name: start,
            clients.name: _start(BOTO3_CLIENTS, environment),
            **{name: _start(ROOT, environment, f"app.{name}") for name in FUNCTIONS},
        }
        if number < 0:
            continue  # The warm-up compiles the bytecode.
        interpreter.figures.append(start.interpreter_ms)
        modules.figures.append(sum(started[name].boto3_modules for name in FUNCTIONS))
        for row in (nothing, clients, *functions.values()):
            row.figures.append(started[row.name].import_ms)
            row.peak_mib = max(row.peak_mib or 0, started[row.name].peak_mib)
    rows = [interpreter, nothing, clients, *functions.values()]
    report.print_table(f"CPU, user and system, ms ({ROUNDS} rounds)", rows)
    report.print_table("modules of boto3 and botocore that are imported", [modules])
    return [*rows, modules]


def _start(project: Path, environment: dict[str, str], handler: str | None = None) -> Start:
    # This process's environment is left out, because it may set PYTHONDONTWRITEBYTECODE.
    run = subprocess.run(
        [sys.executable, "-c", _CHILD],
        cwd=project,
        env={**environment, "_HANDLER": handler} if handler else environment,
        capture_output=True,
        text=True,
        timeout=START_SECONDS,
    )
    if run.returncode != 0:
        raise NotImported(f"{handler or project}: {run.stderr[-2000:]}")
    interpreter_ms, import_ms, peak_kib, boto3_modules = map(float, run.stdout.split())
    return Start(interpreter_ms, import_ms, peak_kib / 1024, int(boto3_modules))
