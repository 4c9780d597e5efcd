"""The plan of the house: who may know whom."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ALLOWED: dict[str, set[str]] = {
    "errors": set(),
    "settings": set(),
    "session_ids": set(),
    "languages": set(),
    "signing": set(),
    "models": {"errors"},
    "metrics": set(),
    "telemetry": {"errors", "metrics"},
    "circuit": {"errors", "telemetry"},
    "resilience": {"circuit"},
    "signed_http": {"signing"},
    "light_dynamodb": {"circuit", "signed_http"},
    "dynamodb_client": {"signed_http"},
    "protocol": {"errors", "languages", "models", "session_ids"},
    "auth": {"errors", "signed_http", "telemetry"},
    "rate_limits": {"errors", "models", "settings", "telemetry"},
    "heartbeats": {"errors"},
    "store": {"circuit", "errors", "models", "resilience"},
    "gateway": {"signed_http"},
    "outcomes": {"telemetry"},
    "lifecycle": {"gateway", "models", "protocol", "resilience", "store", "telemetry"},
    "sweep": {"errors", "lifecycle", "models", "resilience", "store", "telemetry"},
    "sessions": {
        *("circuit", "errors", "gateway", "heartbeats", "lifecycle", "models", "protocol"),
        *("rate_limits", "store", "telemetry"),
    },
    "dispatch": {
        *("errors", "models", "outcomes", "protocol", "rate_limits", "resilience"),
        *("sessions", "telemetry"),
    },
    "wiring": {
        *("auth", "circuit", "dispatch", "dynamodb_client", "gateway", "lifecycle"),
        *("light_dynamodb", "outcomes"),
        *("rate_limits", "resilience", "session_ids", "sessions", "settings", "signing"),
        *("signed_http", "store", "sweep", "telemetry"),
    },
}
OUTSIDE: dict[str, set[str]] = {
    "auth": {"jwt"},
    "resilience": {"botocore"},
    "dynamodb_client": {"boto3", "botocore", "mypy_boto3_dynamodb", "urllib3"},
    "store": {"mypy_boto3_dynamodb"},
    "outcomes": {"botocore", "mypy_boto3_lambda"},
    "wiring": {"boto3", "botocore", "mypy_boto3_dynamodb", "mypy_boto3_lambda"},
}
MODULES = sorted(path.stem for path in Path("chalicelib").glob("[!_]*.py"))


def imports(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module == "chalicelib":
            names |= {f"chalicelib.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    return names


@pytest.mark.parametrize("module", MODULES)
def test_a_module_knows_only_those_below_it(module: str) -> None:
    names = imports(Path(f"chalicelib/{module}.py"))
    inside = {name.split(".")[1] for name in names if name.startswith("chalicelib.")}
    outside = {name.split(".")[0] for name in names} - {"chalicelib"} - sys.stdlib_module_names
    assert inside <= ALLOWED[module]
    assert outside <= OUTSIDE.get(module, set())


def test_the_app_knows_chalice_and_the_wiring_alone() -> None:
    assert imports(Path("app.py")) == {"typing", "chalice.app", "chalicelib.wiring"}


def test_the_authorizer_starts_without_boto3() -> None:
    script = (
        "import sys, app\n"
        "assert 'jwt' in sys.modules, 'the authorizer was not built'\n"
        "print([name for name in sys.modules if name.split('.')[0] in ('boto3', 'botocore')])"
    )
    environment = {
        "_HANDLER": "app.authorizer",
        "COGNITO_USER_POOL_ID": "us-east-1_pool",
        "COGNITO_CLIENT_ID": "client",
        "RATE_LIMITS_TABLE": "limits",
        "HASH_KEY": "key",
        "AWS_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
        "LOG_LEVEL": "ERROR",
    }
    run = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True
    )
    assert run.stdout.strip() == "[]"
