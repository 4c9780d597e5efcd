"""The order in which modules may import each other."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PURE = (
    *("errors", "models", "session_ids", "languages", "metrics", "heartbeats", "aws.signing"),
    *("environment", "setting_names", "speech_settings", "limits", "table_names", "settings"),
    *("admission", "counts", "fields", "commands", "protocol", "messages", "background"),
    *("voices", "mp3", "spoken_events", "once"),
)
"""Modules without I/O. Each may import only those before it."""

INPUT_AND_OUTPUT = (
    *("telemetry", "aws", "aws.wire", "aws.side_by_side", "aws.http", "aws.connections"),
    *("aws.circuit", "aws.retries", "aws.dynamodb", "aws.functions", "aws.calls"),
    *("aws.translate", "aws.polly", "aws.s3", "auth", "rate_limits", "status_requests"),
    *("outcomes", "pipeline", "slices", "store.table", "store.items", "store.open_sessions"),
    *("store.count_updates", "store.number_updates", "store.placements", "store.sweep_cursor"),
    *("store.sessions", "store.caption_numbers", "store.seats", "store.demand"),
    *("store.participants", "store.listeners", "store.hand_overs", "store.refused_commands"),
    *("store.event_claims", "store.captions", "store.stores", "recovery"),
)
"""Modules that reach AWS or write the log. Each may import only those before it."""

USE_CASES = (
    *("audience", "membership", "notices", "publishing", "ending", "lifecycle", "joining"),
    *("sessions", "refresh", "presence", "captions", "refusals", "publish_requests"),
    *("deliveries", "status_notices", "sweep_report", "session_repair", "sweep", "speech"),
    "interpreter",
)
"""Modules with use cases. Each may import only those before it."""

ORDER = (*PURE, *INPUT_AND_OUTPUT, *USE_CASES, "dispatch", "assembly", "aws_clients", "wiring")

PARTS = {"aws.http", "aws.wire", "aws.side_by_side", "aws.signing", "aws.circuit"}
"""Modules of the client for AWS that only the client itself and the wiring may import."""

OUTSIDE: dict[str, set[str]] = {"auth": {"jwt"}}
ROOT = Path("chalicelib")
MODULES = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts) for path in ROOT.rglob("[!_]*.py")
)


def imports(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module in ("chalicelib", "chalicelib.aws"):
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    return names


def _imported(module: str) -> set[str]:
    names = imports(ROOT / f"{module.replace('.', '/')}.py") if module in MODULES else set()
    return {name.partition(".")[2] for name in names if name.startswith("chalicelib.")}


@pytest.mark.parametrize("module", MODULES)
def test_a_module_imports_only_those_before_it(module: str) -> None:
    names = imports(ROOT / f"{module.replace('.', '/')}.py")
    inside = _imported(module)
    outside = {name.split(".")[0] for name in names} - {"chalicelib"} - sys.stdlib_module_names
    assert inside <= set(ORDER[: ORDER.index(module)])
    assert outside <= OUTSIDE.get(module, set())


def test_only_the_client_for_aws_and_the_wiring_use_its_parts() -> None:
    others = set(ORDER) - {"wiring", "aws_clients", "auth", "environment"}
    users = {each for each in others if not each.startswith("aws") and _imported(each) & PARTS}
    assert users == set()


def test_the_app_imports_only_chalice_and_the_wiring() -> None:
    assert imports(Path("app.py")) == {"typing", "chalice.app", "chalicelib.wiring"}


@pytest.mark.parametrize(
    "handler",
    [
        *("authorizer", "connect", "message", "disconnect"),
        *("outcome", "publish", "interpreter", "sweep"),
    ],
)
def test_a_function_starts_without_slow_imports(handler: str) -> None:
    script = (
        "import sys, app\n"
        "assert 'chalicelib.aws.dynamodb' in sys.modules, 'nothing was built'\n"
        "slow = {'boto3', 'botocore', 'cryptography', 'difflib', 'jwt', 'chalicelib.protocol'}\n"
        "print(sorted(slow & sys.modules.keys()))"
    )
    environment = {
        "_HANDLER": f"app.{handler}",
        "COGNITO_USER_POOL_ID": "us-east-1_pool",
        "COGNITO_CLIENT_ID": "client",
        "SESSIONS_TABLE": "sessions",
        "CAPTIONS_TABLE": "captions",
        "CONNECTIONS_TABLE": "connections",
        "RATE_LIMITS_TABLE": "limits",
        "OUTCOME_FUNCTION": "outcome",
        "CONNECTIONS_URL": "https://abc123.execute-api.us-east-1.amazonaws.com/dev",
        "HASH_KEY": "key",
        "AWS_REGION": "us-east-1",
        "AWS_SESSION_TOKEN": "token",
        "LOG_LEVEL": "ERROR",
    }
    run = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True
    )
    assert run.stdout.strip() == "[]"
