"""Puts the parts together, once per process and only those that a function needs.

The imports stand in the functions: all Lambda functions share one app.py, and each would otherwise
pay for all the others' modules in every cold start.
"""

import os
import sys
import threading
import time
from collections.abc import Callable, Mapping
from functools import cache, wraps
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import urlsplit

from chalicelib import telemetry
from chalicelib.settings import (
    SettingError,
    Settings,
    check_all,
    check_on_aws,
    find_handler,
    is_local_server,
    read_cognito_settings,
    read_credentials,
    read_endpoint_url,
    read_hash_key,
    read_log_level,
    read_rate_limits,
    read_region,
    read_settings,
    read_stage,
)

if TYPE_CHECKING:
    from chalicelib.auth import Authorizer
    from chalicelib.aws.dynamodb import DynamoDB
    from chalicelib.aws.functions import Functions
    from chalicelib.aws.http import SignedClient
    from chalicelib.dispatch import Dispatcher
    from chalicelib.lifecycle import Lifecycle
    from chalicelib.rate_limits import RateLimits
    from chalicelib.sessions import Sessions
    from chalicelib.store import Store
    from chalicelib.sweep import Sweep

CONNECT_TIMEOUT_SECONDS: Final = 2
"""Long enough for TCP to send a lost SYN again, after 1 s. Source: RFC 6298, section 2.1."""

READ_TIMEOUT_SECONDS: Final = 2
INVITE_CODE_BYTES: Final = 12
"""Of randomness: sixteen characters in a link or a QR code, beyond guessing."""

_Built = TypeVar("_Built")
_lock = threading.RLock()


def _once(build: Callable[..., _Built]) -> Callable[..., _Built]:
    """Build a part once, also when the local server's threads ask for it side by side."""
    cached = cache(build)

    @wraps(build)
    def build_once(*arguments: str | int) -> _Built:
        with _lock:
            return cached(*arguments)

    return build_once


def start() -> None:
    """Set up the log, and in Lambda build what the handler will need.

    A setting that makes no sense ends the start: Lambda logs the error, and the local server shows
    the message of a SystemExit. `chalice package` imports this, too, and needs no settings.

    Lambda gives a starting function a whole CPU, and a seventh of one later (at 256 MB).

    Raises: SettingError in Lambda, SystemExit on the local server.
    Source: "Lambda execution environment lifecycle" (Init phase) and "Defined runtime environment
    variables" (`_HANDLER`), AWS Lambda Developer Guide.
    """
    handler = find_handler(os.environ)
    if is_local_server(os.environ):
        _check_all()
    telemetry.configure(
        read_log_level(os.environ), read_stage(os.environ), read_hash_key(os.environ)
    )
    if handler:
        check_on_aws(os.environ)
        telemetry.configure_libraries()
    if handler == "app.authorizer":
        authorizer()
        return
    if handler:
        from chalicelib.aws.http import shared_tls_context

        shared_tls_context()
    if handler == "app.sweep":
        sweep()
    elif handler and (endpoint_url := _settings().connections_url):
        _dispatcher(endpoint_url)
    elif handler:
        from chalicelib import dispatch  # noqa: F401

        _store()
        _rate_limits()


def _check_all() -> None:
    try:
        check_all(os.environ)
    except SettingError as error:
        sys.exit(str(error))


@_once
def authorizer() -> "Authorizer":
    from chalicelib.auth import Authorizer, KeySet, TokenVerifier, fetch_key_set

    settings = read_cognito_settings(os.environ)
    # Fetched for the first token, not here: a hall of listeners starts hundreds of authorizers
    # that never see one, and Cognito need not answer each.
    keys = KeySet(lambda: fetch_key_set(settings.key_set_url), time.time)
    verifier = TokenVerifier(keys, settings.issuer, settings.client_id)
    return Authorizer(verifier, _rate_limits().count_refused_token)


def dispatcher(event: Mapping[str, Any]) -> "Dispatcher":
    """Return the dispatcher for the API that an event comes from."""
    return _dispatcher(_settings().connections_url or _connections_url(event["requestContext"]))


def _connections_url(context: Mapping[str, Any]) -> str:
    if emulator_url := _settings().emulator_url:
        return _emulated_connections_url(emulator_url, context["apiId"], context["stage"])
    return f"https://{context['domainName']}/{context['stage']}"


def _emulated_connections_url(emulator_url: str, api_id: str, stage: str) -> str:
    # An emulator's domain names need not resolve; ministack and LocalStack take this path.
    return f"{emulator_url}/_aws/execute-api/{api_id}/{stage}"


@_once
def sweep() -> "Sweep":
    """Return the sweep. No event says where its connections are, so that a setting has to."""
    from chalicelib.sweep import Sweep

    settings = _settings()
    endpoint_url = settings.connections_url
    if endpoint_url is None and settings.emulator_url and settings.api_url:
        url = urlsplit(settings.api_url)
        endpoint_url = _emulated_connections_url(
            settings.emulator_url, url.netloc.partition(".")[0], url.path.strip("/")
        )
    if endpoint_url is None:
        raise SettingError("CONNECTIONS_URL is not set")
    return Sweep(_lifecycle(endpoint_url), settings.max_listeners, time.time)


@_once
def sessions(endpoint_url: str) -> "Sessions":
    """Return the use cases for the API whose @connections are at that URL."""
    import secrets

    from chalicelib import session_ids
    from chalicelib.sessions import Limits, Sessions

    settings = _settings()
    return Sessions(
        store=_store(),
        lifecycle=_lifecycle(endpoint_url),
        rate_limits=_rate_limits(),
        limits=Limits(
            max_listeners=settings.max_listeners,
            heartbeat_interval_seconds=settings.heartbeat_interval_seconds,
            heartbeat_settled_seconds=settings.heartbeat_settled_seconds,
            heartbeat_timeout_seconds=settings.heartbeat_timeout_seconds,
            heartbeats_per_minute=settings.heartbeats_per_minute,
            session_max_duration_seconds=settings.session_max_duration_seconds,
            refresh_after_seconds=settings.refresh_after_seconds,
            warn_after_seconds=settings.warn_after_seconds,
            max_refused_commands=settings.max_refused_commands,
        ),
        clock=time.time,
        new_session_id=session_ids.generate,
        new_invite_code=lambda: secrets.token_urlsafe(INVITE_CODE_BYTES),
    )


@_once
def _lifecycle(endpoint_url: str) -> "Lifecycle":
    from chalicelib.aws.connections import ManagementApi
    from chalicelib.lifecycle import Lifecycle

    return Lifecycle(
        store=_store(),
        connections=ManagementApi(_client("execute-api", endpoint_url)),
        speaker_grace_seconds=_settings().speaker_grace_seconds,
        speaker_close_grace_seconds=_settings().speaker_close_grace_seconds,
        clock=time.time,
    )


@_once
def _dispatcher(endpoint_url: str) -> "Dispatcher":
    from chalicelib.dispatch import Dispatcher
    from chalicelib.outcomes import Outcomes

    return Dispatcher(
        sessions=sessions(endpoint_url),
        rate_limits=_rate_limits(),
        outcomes=Outcomes(_functions(), _settings().outcome_function),
        endpoint_url=endpoint_url,
        clock=time.time,
    )


@_once
def _functions() -> "Functions":
    from chalicelib.aws.functions import Functions

    return Functions(_client("lambda", read_endpoint_url(os.environ, "lambda")))


@_once
def _store() -> "Store":
    from chalicelib.store import Store

    settings = _settings()
    return Store(
        dynamodb=_dynamodb("store"),
        sessions_table=settings.sessions_table,
        connections_table=settings.connections_table,
        clock=time.time,
    )


@_once
def _rate_limits() -> "RateLimits":
    from chalicelib.rate_limits import RateLimits

    update_item = _dynamodb("rateLimits").update_item
    return RateLimits(update_item, read_rate_limits(os.environ), time.time)


@_once
def _dynamodb(dependency: str) -> "DynamoDB":
    """Return DynamoDB, with a circuit breaker that goes by the name of a dependency."""
    from chalicelib.aws.dynamodb import DynamoDB
    from chalicelib.aws.retries import Retries

    url = read_endpoint_url(os.environ, "dynamodb")
    return DynamoDB(_client("dynamodb", url), Retries(dependency))


@_once
def _client(service: str, endpoint_url: str) -> "SignedClient":
    from chalicelib.aws.http import SignedClient

    return SignedClient(
        endpoint_url,
        service,
        read_region(os.environ),
        lambda: read_credentials(os.environ),
        connect_timeout_seconds=CONNECT_TIMEOUT_SECONDS,
        read_timeout_seconds=READ_TIMEOUT_SECONDS,
    )


@_once
def _settings() -> Settings:
    return read_settings(os.environ)
