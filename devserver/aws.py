"""The AWS under the local server: ministack in a child process, with tables and a user pool.

Knows how to start it and what a Chalice project needs of it; nothing of what the tables hold.
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

from devserver import cognito_ids, page_guard, scratch

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import CreateTableInputTypeDef

REGION: Final = "us-east-1"
START_SECONDS: Final = 30
STOP_SECONDS: Final = 5
PORT_ATTEMPTS: Final = 3
"""A port that was free a moment ago may be taken by the time that ministack binds it."""

USER_PASSWORD: Final = "User-1-of-the-local-pool"  # noqa: S105
"""Of every user of the embedded pool, which lives and dies with the local server."""

AUTH_FLOWS: Final = ("ALLOW_ADMIN_USER_PASSWORD_AUTH", "ALLOW_REFRESH_TOKEN_AUTH")
"""Of app clients without settings of their own."""

_OTHER_CREDENTIALS: Final = ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ROLE_ARN")

# The child ends with its parent, however that ends: its standard input closes then.
_CHILD: Final = """
import os, sys, threading
threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
_, package_folder, fault_seed = sys.argv
sys.path.append(package_folder)
from devserver.dynamodb_faults import FaultyDynamoDb
from devserver import cognito_ids
from devserver.page_guard import guarded
cognito_ids.fix_if_asked()
from ministack import app as ministack
ministack.app = guarded(FaultyDynamoDb(ministack.app, int(fault_seed)))
sys.argv = ["ministack"]
ministack.main()
"""


OnEnd = Callable[[str], None]
"""Called from a thread with how ministack has ended, if it has ended by itself."""


class EmbeddedAwsError(Exception):
    """ministack did not start; the message holds the end of what it said."""


@contextmanager
def embedded_aws(
    project_dir: Path,
    app_name: str,
    stage: str,
    fault_seed: int = 0,
    on_end: OnEnd | None = None,
    page_origins: Collection[str] = (),
) -> Iterator[dict[str, str]]:
    """Run a fresh AWS for a Chalice project, and give the environment with which to find it.

    The environment names the endpoint, credentials that open nothing else, each table of
    `chalicelib/tables.json` as NAME_TABLE, and the user pool and its app client. What this
    process's own environment says of other credentials is removed from it. Web pages of the given
    origins may use it, and no others.

    Raises: EmbeddedAwsError.
    """
    for name in _OTHER_CREDENTIALS:
        os.environ.pop(name, None)
    settings = {
        page_guard.ORIGINS_VARIABLE: ",".join(page_origins),
        cognito_ids.FIXED_VARIABLE: "1",
    }
    with ministack(fault_seed, on_end, port=0, **settings) as endpoint_url:
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
    fault_seed: int = 0, on_end: OnEnd | None = None, /, *, port: int = 0, **settings: str
) -> Iterator[str]:
    """Run ministack on a port of this machine alone, and give its URL. 0 is any free port.

    Settings are its own, by the names of the environment variables that its documentation lists.
    The seed is for the faults of its DynamoDB, of which it has none until it is told of one.
    """
    with scratch.folder("ministack-") as folder:
        process, endpoint_url = _start(folder, settings, fault_seed, port)
        is_stopping = threading.Event()
        if on_end is not None:
            arguments = (process, is_stopping, on_end)
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
    """Return a boto3 client that reaches the embedded AWS and nothing else."""
    import boto3

    return boto3.client(
        service,  # type: ignore[call-overload]
        endpoint_url=endpoint_url,
        region_name=REGION,
        aws_access_key_id="local",
        aws_secret_access_key="local",  # noqa: S106
    )


def create_tables(endpoint_url: str, schema: Mapping[str, Any], prefix: str) -> dict[str, str]:
    """Create the tables of a schema, and return the environment that names them."""
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
    """Turn a table of the schema file into a request for CreateTable."""
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
    """Create a user pool with an app client, and return the environment that names them.

    Like the deployed pool, it knows users by their email addresses. Unlike that, ministack 1.5
    distinguishes upper and lower case in them.
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
    """Create an app client with settings of CreateUserPoolClient, and return its ID.

    Without settings, only `sign_in` works with it.
    """
    created = client("cognito-idp", endpoint_url).create_user_pool_client(
        UserPoolId=pool_id, ClientName=name, **{"ExplicitAuthFlows": AUTH_FLOWS, **(settings or {})}
    )
    client_id: str = created["UserPoolClient"]["ClientId"]
    return client_id


def _deployed_app_client(project_dir: Path, page_origins: Collection[str]) -> dict[str, Any]:
    """Read the settings that Terraform gives the deployed app client; none if there is no such.

    Pages of the given origins may sign in on Cognito's own page.
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
    """Cognito doesn't take the username. The message says why."""


def sign_in(endpoint_url: str, pool_id: str, client_id: str, username: str) -> dict[str, str]:
    """Sign a user in, whom this creates if need be, and return his tokens.

    Returns: Cognito's AuthenticationResult: IdToken, AccessToken, RefreshToken and more.

    Raises: SignInRefused.
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
            # Ctrl-C is for the server: AWS has to outlive its last events.
            start_new_session=True,
            env=environment,
        )


def _watch(process: "subprocess.Popen[bytes]", is_stopping: threading.Event, on_end: OnEnd) -> None:
    code = process.wait()
    if not is_stopping.is_set():
        on_end(signal.Signals(-code).name if code < 0 else f"exit status {code}")


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
        # Servers set this too: without it, connections that ended a moment ago keep the port.
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
