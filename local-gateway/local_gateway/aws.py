"""The embedded AWS: ministack in a child process, with the tables and user pool of a project.

The module starts ministack and creates the resources of a Chalice project. It doesn't depend on
the contents of the tables.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from local_gateway import cognito_ids, page_guard, scratch

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import CreateTableInputTypeDef

REGION: Final = "us-east-1"
START_SECONDS: Final = 30
STOP_SECONDS: Final = 5
PORT_ATTEMPTS: Final = 3
"""Attempts to start on a free port. Another process can take the port before ministack binds it."""

USER_PASSWORD: Final = "User-1-of-the-local-pool"  # noqa: S105
"""The password of every user of the embedded pool, which exists only while the server runs."""

AUTH_FLOWS: Final = ("ALLOW_ADMIN_USER_PASSWORD_AUTH", "ALLOW_REFRESH_TOKEN_AUTH")
"""The default authentication flows of an app client."""

_OTHER_CREDENTIALS: Final = ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ROLE_ARN")

# The child exits when its standard input closes, which happens however the parent exits.
_CHILD: Final = """
import os, sys, threading
threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
_, package_folder, fault_seed = sys.argv
sys.path.append(package_folder)
from local_gateway.dynamodb_faults import FaultyDynamoDb
from local_gateway import cognito_ids
from local_gateway.page_guard import guard
cognito_ids.fix_ids_if_requested()
from ministack import app as ministack
ministack.app = guard(FaultyDynamoDb(ministack.app, int(fault_seed)))
sys.argv = ["ministack"]
ministack.main()
"""


OnExit = Callable[[str], None]
"""Receives the cause if ministack exits on its own. Called from a thread."""


class EmbeddedAwsError(Exception):
    """ministack didn't start. The message contains the end of its log."""


@contextmanager
def embedded_aws(
    project_dir: Path,
    app_name: str,
    stage: str,
    fault_seed: int = 0,
    on_exit: OnExit | None = None,
    page_origins: Collection[str] = (),
) -> Iterator[dict[str, str]]:
    """Run a new embedded AWS for a Chalice project.

    Variables for other AWS credentials are removed from this process's environment.

    Args:
        project_dir: The project's folder. `chalicelib/tables.json` in it describes the tables.
        app_name: The first part of the resources' names.
        stage: The second part of the resources' names.
        fault_seed: Random seed of the faults.
        on_exit: Receives the cause if ministack exits on its own.
        page_origins: Origins of the web pages that can send requests. Others are refused.

    Yields:
        The environment variables to reach it: the endpoint, credentials that are valid nowhere
        else, the table names as NAME_TABLE, the user pool and its app client.

    Raises:
        EmbeddedAwsError: ministack didn't start.
    """
    for name in _OTHER_CREDENTIALS:
        os.environ.pop(name, None)
    settings = {
        page_guard.ORIGINS_VARIABLE: ",".join(page_origins),
        cognito_ids.FIXED_VARIABLE: "1",
    }
    with ministack(fault_seed, on_exit, port=0, **settings) as endpoint_url:
        environment = {
            "AWS_ENDPOINT_URL": endpoint_url,
            "AWS_ACCESS_KEY_ID": "local",
            "AWS_SECRET_ACCESS_KEY": "local",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_DEFAULT_REGION": REGION,
            "AWS_REGION": REGION,
        }
        prefix = f"{app_name}-{stage}"
        schema = json.loads((project_dir / "chalicelib" / "tables.json").read_text())
        environment |= create_tables(endpoint_url, schema, prefix)
        app_client = _deployed_app_client(project_dir, page_origins)
        environment |= create_user_pool(endpoint_url, prefix, app_client)
        yield environment


@contextmanager
def ministack(
    fault_seed: int = 0, on_exit: OnExit | None = None, /, *, port: int = 0, **settings: str
) -> Iterator[str]:
    """Run ministack on a loopback port.

    Args:
        fault_seed: Random seed of DynamoDB's faults. No fault is set at the start.
        on_exit: Receives the cause if ministack exits on its own.
        port: The port; 0 for any free port.
        **settings: Environment variables of ministack, as its documentation lists them.

    Yields:
        The endpoint URL.

    Raises:
        EmbeddedAwsError: ministack didn't start.
    """
    with scratch.folder("ministack-") as folder:
        process, endpoint_url = _start(folder, settings, fault_seed, port)
        is_stopping = threading.Event()
        if on_exit is not None:
            arguments = (process, is_stopping, on_exit)
            threading.Thread(target=_watch, args=arguments, daemon=True).start()
        try:
            yield endpoint_url
        finally:
            is_stopping.set()
            process.terminate()
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            if process.stdin:
                process.stdin.close()


def client(service: str, endpoint_url: str) -> Any:
    """Return a boto3 client whose credentials are valid for the embedded AWS only."""
    import boto3

    return boto3.client(
        service,  # type: ignore[call-overload]
        endpoint_url=endpoint_url,
        region_name=REGION,
        aws_access_key_id="local",
        aws_secret_access_key="local",  # noqa: S106
    )


def create_tables(endpoint_url: str, schema: Mapping[str, Any], prefix: str) -> dict[str, str]:
    """Create the tables of a schema.

    Returns:
        The table names, by environment variable.
    """
    dynamodb = client("dynamodb", endpoint_url)
    environment = {}
    for name, table in schema.items():
        request = table_request(f"{prefix}-{name}", table)
        dynamodb.create_table(**request)
        dynamodb.update_time_to_live(
            TableName=request["TableName"],
            TimeToLiveSpecification={"Enabled": True, "AttributeName": table["ttl_attribute"]},
        )
        environment[f"{name.upper()}_TABLE"] = request["TableName"]
    return environment


def table_request(table_name: str, table: Mapping[str, Any]) -> "CreateTableInputTypeDef":
    """Build a CreateTable request from a table of the schema file."""
    keys = [table, *table["indexes"]]
    attributes = {
        key["name"]: key["type"]
        for holder in keys
        for key in (holder["partition_key"], holder.get("sort_key"))
        if key
    }
    request: CreateTableInputTypeDef = {
        "TableName": table_name,
        "BillingMode": "PAY_PER_REQUEST",
        "KeySchema": _key_schema(table),
        "AttributeDefinitions": [
            {"AttributeName": name, "AttributeType": type_} for name, type_ in attributes.items()
        ],
    }
    if table["indexes"]:
        request["GlobalSecondaryIndexes"] = [
            {
                "IndexName": index["name"],
                "KeySchema": _key_schema(index),
                "Projection": {"ProjectionType": index["projection"]},
            }
            for index in table["indexes"]
        ]
    return request


def create_user_pool(
    endpoint_url: str, name: str, app_client: Mapping[str, Any] | None = None
) -> dict[str, str]:
    """Create a user pool with an app client.

    As in the deployed pool, usernames are email addresses. Unlike in the deployed pool, they are
    case-sensitive (ministack 1.5).

    Returns:
        The IDs of the pool and the client, by environment variable.
    """
    cognito = client("cognito-idp", endpoint_url)
    pool = cognito.create_user_pool(PoolName=name, UsernameAttributes=["email"])
    pool_id = pool["UserPool"]["Id"]
    return {
        "COGNITO_USER_POOL_ID": pool_id,
        "COGNITO_CLIENT_ID": create_app_client(endpoint_url, pool_id, name, app_client),
    }


def create_app_client(
    endpoint_url: str, pool_id: str, name: str, settings: Mapping[str, Any] | None = None
) -> str:
    """Create an app client.

    Args:
        endpoint_url: The embedded AWS.
        pool_id: The user pool.
        name: The client's name.
        settings: Parameters of CreateUserPoolClient. Without them, the client only works with
            `sign_in`.

    Returns:
        The client's ID.
    """
    created = client("cognito-idp", endpoint_url).create_user_pool_client(
        UserPoolId=pool_id, ClientName=name, **{"ExplicitAuthFlows": AUTH_FLOWS, **(settings or {})}
    )
    client_id: str = created["UserPoolClient"]["ClientId"]
    return client_id


def _deployed_app_client(project_dir: Path, page_origins: Collection[str]) -> dict[str, Any]:
    """Return the deployed app client's settings; empty if the project has none.

    The given origins replace the deployed callback URLs, which allows local pages to use Cognito's
    hosted sign-in page.
    """
    path = project_dir / "terraform" / "modules" / "cognito" / "app_client.json"
    if not path.exists():
        return {}
    deployed = json.loads(path.read_text())
    pages = [f"{origin}/" for origin in page_origins]
    return {
        "ExplicitAuthFlows": deployed["explicit_auth_flows"],
        "AllowedOAuthFlowsUserPoolClient": True,
        "AllowedOAuthFlows": deployed["allowed_oauth_flows"],
        "AllowedOAuthScopes": deployed["allowed_oauth_scopes"],
        "SupportedIdentityProviders": ["COGNITO"],
        "CallbackURLs": pages,
        "LogoutURLs": pages,
    }


class SignInRefused(Exception):
    """Cognito refuses the username. The message explains why."""


def sign_in(endpoint_url: str, pool_id: str, client_id: str, username: str) -> dict[str, str]:
    """Sign a user in. Creates the user if it doesn't exist.

    Returns:
        Cognito's AuthenticationResult: IdToken, AccessToken, RefreshToken and more.

    Raises:
        SignInRefused: Cognito refuses the username.
    """
    if not username:
        raise SignInRefused("the username is empty")
    try:
        return _sign_in(client("cognito-idp", endpoint_url), pool_id, client_id, username)
    except ClientError as error:
        raise SignInRefused(error.response["Error"]["Message"]) from None


def _sign_in(cognito: Any, pool_id: str, client_id: str, username: str) -> dict[str, str]:
    user = {"UserPoolId": pool_id, "Username": username}
    with suppress(cognito.exceptions.UsernameExistsException):
        cognito.admin_create_user(**user, MessageAction="SUPPRESS")
    cognito.admin_set_user_password(**user, Password=USER_PASSWORD, Permanent=True)
    tokens: dict[str, str] = cognito.admin_initiate_auth(
        UserPoolId=pool_id,
        ClientId=client_id,
        AuthFlow="ADMIN_USER_PASSWORD_AUTH",
        AuthParameters={"USERNAME": username, "PASSWORD": USER_PASSWORD},
    )["AuthenticationResult"]
    return tokens


def _start(
    folder: Path, settings: Mapping[str, str], fault_seed: int, wanted_port: int
) -> tuple["subprocess.Popen[bytes]", str]:
    log = folder / "log"
    for _ in range(1 if wanted_port else PORT_ATTEMPTS):
        port = _free_port(wanted_port)
        process = _spawn(port, folder, log, settings, fault_seed)
        endpoint_url = f"http://127.0.0.1:{port}"
        if _wait_until_ready(process, endpoint_url):
            return process, endpoint_url
        process.kill()
        process.wait()
    raise EmbeddedAwsError(f"ministack did not start:\n{log.read_text()[-2000:]}")


def _spawn(
    port: int, folder: Path, log: Path, settings: Mapping[str, str], fault_seed: int
) -> "subprocess.Popen[bytes]":
    environment = {
        **os.environ,
        "GATEWAY_PORT": str(port),
        "BIND_HOST": "127.0.0.1",
        "IOT_MTLS_ENABLED": "0",
        "LOG_LEVEL": "WARNING",
        "TMPDIR": str(folder),
        "STATE_DIR": str(folder / "state"),
        "S3_DATA_DIR": str(folder / "s3"),
        **settings,
    }
    with log.open("w") as output:
        return subprocess.Popen(  # noqa: S603
            [sys.executable, "-c", _CHILD, str(Path(__file__).parents[1]), str(fault_seed)],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
            # In its own session, Ctrl-C doesn't reach it. The server's last events still need it.
            start_new_session=True,
            env=environment,
        )


def _watch(
    process: "subprocess.Popen[bytes]", is_stopping: threading.Event, on_exit: OnExit
) -> None:
    code = process.wait()
    if not is_stopping.is_set():
        on_exit(signal.Signals(-code).name if code < 0 else f"exit status {code}")


def _wait_until_ready(process: "subprocess.Popen[bytes]", endpoint_url: str) -> bool:
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        try:
            urllib.request.urlopen(f"{endpoint_url}/_ministack/health", timeout=1).close()  # noqa: S310
        except (urllib.error.URLError, OSError):
            time.sleep(0.02)
        else:
            return True
    return False


def _free_port(wanted_port: int = 0) -> int:
    with socket.socket() as probe:
        # As servers do: without this option, recently closed connections block the port.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", wanted_port))
        except OSError as error:
            raise EmbeddedAwsError(
                f"port {wanted_port} of 127.0.0.1 can't be used: {error.strerror}"
            ) from None
        port: int = probe.getsockname()[1]
        return port


def _key_schema(holder: Mapping[str, Any]) -> list[Any]:
    schema = [{"AttributeName": holder["partition_key"]["name"], "KeyType": "HASH"}]
    if "sort_key" in holder:
        schema.append({"AttributeName": holder["sort_key"]["name"], "KeyType": "RANGE"})
    return schema
