"""The plan of the house: who may know whom."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

AWS = {"aws.connections", "aws.dynamodb", "aws.functions", "aws.http", "aws.retries"}

ALLOWED: dict[str, set[str]] = {
    "errors": set(),
    "settings": {"aws.signing"},
    "session_ids": set(),
    "languages": set(),
    "aws": set(),
    "aws.signing": set(),
    "aws.wire": set(),
    "aws.side_by_side": {"aws.wire"},
    "aws.http": {"aws.signing", "aws.wire"},
    "aws.connections": {"aws.http", "aws.side_by_side", "aws.wire"},
    "aws.circuit": {"errors", "telemetry"},
    "aws.retries": {"aws.circuit", "errors"},
    "aws.dynamodb": {"aws.retries", "aws.wire"},
    "aws.functions": {"aws.wire"},
    "models": {"errors"},
    "metrics": set(),
    "telemetry": {"errors", "metrics"},
    "protocol": {"errors", "languages", "models", "session_ids"},
    "auth": {"aws", "aws.http", "errors", "telemetry"},
    "rate_limits": {"errors", "models", "settings", "telemetry"},
    "heartbeats": {"errors"},
    "store": {"aws.dynamodb", "errors", "models"},
    "outcomes": {"aws.functions", "telemetry"},
    "lifecycle": {"aws.connections", "aws.retries", "models", "protocol", "store", "telemetry"},
    "sweep": {"aws.retries", "errors", "lifecycle", "models", "store", "telemetry"},
    "sessions": {
        *("aws.connections", "errors", "heartbeats", "lifecycle", "models", "protocol"),
        *("rate_limits", "store", "telemetry"),
    },
    "dispatch": {
        *("aws.retries", "errors", "models", "outcomes", "protocol", "rate_limits"),
        *("sessions", "telemetry"),
    },
    "wiring": {
        *AWS,
        *("auth", "dispatch", "lifecycle", "outcomes", "rate_limits", "session_ids"),
        *("sessions", "settings", "store", "sweep", "telemetry"),
    },
}
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


@pytest.mark.parametrize("module", MODULES)
def test_a_module_knows_only_those_below_it(module: str) -> None:
    names = imports(ROOT / f"{module.replace('.', '/')}.py")
    inside = {name.partition(".")[2] for name in names if name.startswith("chalicelib.")}
    outside = {name.split(".")[0] for name in names} - {"chalicelib"} - sys.stdlib_module_names
    assert inside <= ALLOWED[module]
    assert outside <= OUTSIDE.get(module, set())


def test_the_app_knows_chalice_and_the_wiring_alone() -> None:
    assert imports(Path("app.py")) == {"typing", "chalice.app", "chalicelib.wiring"}


@pytest.mark.parametrize(
    "handler", ["authorizer", "connect", "message", "disconnect", "outcome", "sweep"]
)
def test_a_function_starts_without_slow_imports(handler: str) -> None:
    script = (
        "import sys, app\n"
        "assert 'chalicelib.aws.dynamodb' in sys.modules, 'nothing was built'\n"
        "slow = {'boto3', 'botocore', 'cryptography', 'difflib', 'jwt'}\n"
        "print(sorted(slow & sys.modules.keys()))"
    )
    environment = {
        "_HANDLER": f"app.{handler}",
        "COGNITO_USER_POOL_ID": "us-east-1_pool",
        "COGNITO_CLIENT_ID": "client",
        "SESSIONS_TABLE": "sessions",
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
