"""Puts the parts together, once per process and only those that a function needs.

The imports stand in the functions: all functions share one app.py, and the authorizer would
otherwise pay for boto3 and the others for PyJWT in every cold start.
"""

import os
import threading
import time
from collections.abc import Callable, Mapping
from functools import cache, wraps
from typing import TYPE_CHECKING, Any, Final, TypeVar

from chalicelib import telemetry
from chalicelib.settings import Settings, read_cognito_settings, read_log_level, read_settings

if TYPE_CHECKING:
    from boto3.session import Session as BotoSession
    from botocore.config import Config
    from mypy_boto3_lambda import LambdaClient

    from chalicelib.auth import Authorizer
    from chalicelib.dispatch import Dispatcher
    from chalicelib.sessions import Sessions
    from chalicelib.store import Store

CONNECT_TIMEOUT_SECONDS: Final = 2
"""Long enough for TCP to send a lost SYN again, after 1 s. Source: RFC 6298, section 2.1."""

READ_TIMEOUT_SECONDS: Final = 3
ATTEMPTS: Final = 3
"""Of one AWS request: with its waits about 16 s at worst, within the integration's 29 s."""

INVITE_CODE_BYTES: Final = 12
"""Of randomness: sixteen characters in a link or a QR code, beyond guessing."""

POOL_CONNECTIONS: Final = 1000
"""Kept open to one service at most, each opened when it is needed: in Lambda one, or one for each
thread of a fan-out; on the local server one for each of its handlers at work.
"""


_Built = TypeVar("_Built")
_lock = threading.RLock()


def _once(build: Callable[..., _Built]) -> Callable[..., _Built]:
    """Build a part once, also when the local server's threads ask for it side by side."""
    cached = cache(build)

    @wraps(build)
    def build_once(*arguments: str) -> _Built:
        with _lock:
            return cached(*arguments)

    return build_once


def start() -> None:
    """Set up the log, and in Lambda build what the handler will need.

    Lambda gives a starting function a whole CPU, and a seventh of one later (at 256 MB).
    Source: "Lambda execution environment lifecycle" (Init phase) and "Defined runtime environment
    variables" (`_HANDLER`), AWS Lambda Developer Guide.
    """
    telemetry.configure(read_log_level(os.environ))
    handler = os.environ.get("_HANDLER")
    if handler == "app.authorizer":
        authorizer()
        return
    if handler == "app.connect":
        _lambda()
    if handler and (endpoint_url := _settings().connections_url):
        _dispatcher(endpoint_url)
    elif handler:
        from chalicelib import dispatch  # noqa: F401

        _store()


@_once
def authorizer() -> "Authorizer":
    from chalicelib.auth import Authorizer, KeySet, TokenVerifier, fetch_key_set

    settings = read_cognito_settings(os.environ)
    # Fetched for the first token, not here: a hall of listeners starts hundreds of authorizers
    # that never see one, and Cognito need not answer each.
    keys = KeySet(lambda: fetch_key_set(settings.key_set_url), time.monotonic)
    return Authorizer(TokenVerifier(keys, settings.issuer, settings.client_id))


def dispatcher(event: Mapping[str, Any]) -> "Dispatcher":
    """Return the dispatcher for the API that an event comes from."""
    return _dispatcher(_settings().connections_url or _connections_url(event["requestContext"]))


def _connections_url(context: Mapping[str, Any]) -> str:
    if emulator_url := _settings().emulator_url:
        # An emulator's domain names need not resolve; ministack and LocalStack take this path.
        return f"{emulator_url}/_aws/execute-api/{context['apiId']}/{context['stage']}"
    return f"https://{context['domainName']}/{context['stage']}"


@_once
def sessions(endpoint_url: str) -> "Sessions":
    """Return the use cases for the API whose @connections are at that URL."""
    import secrets

    from chalicelib import session_ids
    from chalicelib.gateway import Gateway
    from chalicelib.sessions import Limits, Sessions

    settings = _settings()
    return Sessions(
        store=_store(),
        gateway=Gateway(
            _boto().client(
                "apigatewaymanagementapi", endpoint_url=endpoint_url, config=_boto_config()
            )
        ),
        limits=Limits(
            max_listeners=settings.max_listeners,
            heartbeat_interval_seconds=settings.heartbeat_interval_seconds,
            session_max_duration_seconds=settings.session_max_duration_seconds,
        ),
        clock=time.time,
        new_session_id=session_ids.generate,
        new_invite_code=lambda: secrets.token_urlsafe(INVITE_CODE_BYTES),
    )


@_once
def _dispatcher(endpoint_url: str) -> "Dispatcher":
    from chalicelib.dispatch import Dispatcher
    from chalicelib.gateway import Outcomes

    return Dispatcher(
        sessions=sessions(endpoint_url),
        outcomes=Outcomes(_lambda, _settings().outcome_function),
        endpoint_url=endpoint_url,
        clock=time.time,
    )


@_once
def _lambda() -> "LambdaClient":
    return _boto().client("lambda", config=_boto_config())


@_once
def _store() -> "Store":
    from chalicelib.store import Store

    settings = _settings()
    return Store(
        _boto().client("dynamodb", config=_boto_config()),
        settings.sessions_table,
        settings.connections_table,
        time.time,
    )


@_once
def _settings() -> Settings:
    return read_settings(os.environ)


@_once
def _boto() -> "BotoSession":
    import boto3

    return boto3.Session()


@_once
def _boto_config() -> "Config":
    from botocore.config import Config

    return Config(
        connect_timeout=CONNECT_TIMEOUT_SECONDS,
        read_timeout=READ_TIMEOUT_SECONDS,
        max_pool_connections=POOL_CONNECTIONS,
        retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
    )
