"""The application's objects, which each process builds once from the environment.

All Lambda functions share one app.py. The imports are inside the functions of this module, so a
cold start imports only the modules that its function needs.
"""

import os
import sys
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from chalicelib import aws_clients, telemetry
from chalicelib.environment import (
    SettingError,
    find_handler,
    is_local_server,
    read_hash_key,
    read_log_level,
    read_stage,
)
from chalicelib.once import once
from chalicelib.settings import (
    Settings,
    check_all,
    check_on_aws,
    read_cognito_settings,
    read_rate_limits,
    read_settings,
)

if TYPE_CHECKING:
    from chalicelib.assembly import UseCases
    from chalicelib.auth import Authorizer
    from chalicelib.aws.connections import Connections
    from chalicelib.dispatch import Dispatcher
    from chalicelib.interpreter import Interpreter
    from chalicelib.outcomes import Outcomes
    from chalicelib.pipeline import Pipeline
    from chalicelib.publishing import Publishing
    from chalicelib.rate_limits import RateLimits
    from chalicelib.slices import Slices
    from chalicelib.store.stores import Stores
    from chalicelib.sweep import Sweep

INVITE_CODE_BYTES: Final = 12
"""Random bytes of an invite code, which has sixteen characters in a link or a QR code."""


def start() -> None:
    """Configure the log, and in Lambda build what the function needs.

    A function gets a whole CPU while it starts, and later a seventh of one (at 256 MB). When
    `chalice package` imports the application, there are no settings.

    Raises:
        SettingError: In Lambda, a setting is missing or invalid. Lambda logs the error.
        SystemExit: As above, on the local server, which prints the message.

    Source: "Lambda execution environment lifecycle" (Init phase), AWS Lambda Developer Guide.
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
    elif handler == "app.publish":
        _publishing()
    elif handler == "app.interpreter":
        _interpreter()
    elif handler and (endpoint_url := _settings().connections_url):
        _dispatcher(endpoint_url)
    elif handler:
        from chalicelib import assembly  # noqa: F401

        stores()
        _rate_limits()


def _check_all() -> None:
    try:
        check_all(os.environ)
    except SettingError as error:
        sys.exit(str(error))


@once
def authorizer() -> "Authorizer":
    """Return the authorizer of the connect route."""
    from chalicelib.auth import Authorizer, KeySet, TokenVerifier, fetch_key_set

    settings = read_cognito_settings(os.environ)
    # The key set is fetched for the first token. An audience of listeners starts hundreds of
    # authorizers that never see a token.
    keys = KeySet(lambda: fetch_key_set(settings.key_set_url), time.time)
    verifier = TokenVerifier(keys, settings.issuer, settings.client_id)
    return Authorizer(verifier, _rate_limits().count_refused_token)


def dispatcher(event: Mapping[str, Any]) -> "Dispatcher":
    """Return the dispatcher of the API that an event comes from."""
    return _dispatcher(_settings().connections_url or _connections_url(event["requestContext"]))


def _connections_url(context: Mapping[str, Any]) -> str:
    if emulator_url := _settings().emulator_url:
        return _emulated_connections_url(emulator_url, context["apiId"], context["stage"])
    return f"https://{context['domainName']}/{context['stage']}"


def _emulated_connections_url(emulator_url: str, api_id: str, stage: str) -> str:
    # An emulator's domain names may not resolve. Ministack and LocalStack serve this path.
    return f"{emulator_url}/_aws/execute-api/{api_id}/{stage}"


@once
def sweep() -> "Sweep":
    """Return the sweep.

    Raises:
        SettingError: CONNECTIONS_URL is not set.
    """
    from chalicelib.sweep import build_sweep

    settings = _settings()
    return build_sweep(
        stores(),
        connections_of_stage(),
        settings.graces,
        settings.limits.max_listeners,
        pipeline=pipeline(),
        outcomes=outcomes(),
        endpoint_url=_url_of_stage(),
        clock=time.time,
        slices=_slices(_url_of_stage()),
    )


def connections_of_stage() -> "Connections":
    """Return the @connections that a setting names, for a process without API events.

    Raises:
        SettingError: CONNECTIONS_URL is not set.
    """
    return aws_clients.connections(_url_of_stage())


def _url_of_stage() -> str:
    settings = _settings()
    endpoint_url = settings.connections_url
    if endpoint_url is None and settings.emulator_url and settings.api_url:
        url = urlsplit(settings.api_url)
        endpoint_url = _emulated_connections_url(
            settings.emulator_url, url.netloc.partition(".")[0], url.path.strip("/")
        )
    if not endpoint_url:
        raise SettingError("CONNECTIONS_URL is not set")
    return endpoint_url


@once
def use_cases(endpoint_url: str) -> "UseCases":
    """Return the use cases of the API whose @connections are at that URL."""
    import secrets

    from chalicelib import session_ids
    from chalicelib.assembly import build_use_cases

    settings = _settings()
    return build_use_cases(
        stores(),
        aws_clients.connections(endpoint_url),
        _rate_limits(),
        settings.limits,
        settings.graces,
        pipeline=pipeline(),
        outcomes=outcomes(),
        endpoint_url=endpoint_url,
        clock=time.time,
        new_session_id=session_ids.generate,
        new_invite_code=lambda: secrets.token_urlsafe(INVITE_CODE_BYTES),
        slices=_slices(endpoint_url),
    )


@once
def _publishing() -> "Publishing":
    return use_cases(_url_of_stage()).publishing


@once
def _slices(endpoint_url: str) -> "Slices":
    from chalicelib.slices import Slices

    return Slices(aws_clients.functions(), _settings().outcome_function, endpoint_url)


def deliver(event: Mapping[str, Any]) -> None:
    """Make the delivery that an event asks for: messages, a slice or a notice of the status."""
    from chalicelib.outcomes import Delivery
    from chalicelib.slices import Slice, is_slice
    from chalicelib.status_requests import StatusRequest, is_status_request

    if is_slice(event):
        part = Slice.from_event(event)
        use_cases(part.endpoint_url).slice_deliveries.deliver(part)
        return
    if is_status_request(event):
        request = StatusRequest.from_event(event)
        use_cases(request.endpoint_url).status_notices.deliver(request)
        return
    delivery = Delivery.from_event(event)
    use_cases(delivery.endpoint_url).deliveries.deliver(delivery)


def publish(event: Mapping[str, Any]) -> dict[str, Any]:
    """Publish the captions of a pipeline's request, and answer it."""
    from chalicelib import publish_requests

    return publish_requests.answer(_publishing(), event)


def interpret(event: Mapping[str, Any]) -> None:
    """Translate and publish the caption that an event of the pipeline describes."""
    _interpreter().interpret(event)


@once
def _interpreter() -> "Interpreter":
    from chalicelib.interpreter import build_interpreter
    from chalicelib.speech_settings import read_speech_settings

    speech_settings = read_speech_settings(os.environ)
    if not _settings().captions_kept_seconds:
        speech_settings = None  # Nothing spoken is stored.
    return build_interpreter(_publishing(), aws_clients.new_client, speech_settings)


@once
def _dispatcher(endpoint_url: str) -> "Dispatcher":
    from chalicelib.assembly import build_dispatcher

    return build_dispatcher(
        use_cases(endpoint_url), _rate_limits(), outcomes(), endpoint_url, time.time
    )


@once
def outcomes() -> "Outcomes":
    """Return the requests for deliveries."""
    from chalicelib.outcomes import Outcomes

    return Outcomes(aws_clients.functions(), _settings().outcome_function)


@once
def pipeline() -> "Pipeline":
    """Return the pipeline that a setting names."""
    from chalicelib.pipeline import Pipeline

    return Pipeline(aws_clients.functions(), _settings().pipeline_function, time.time)


@once
def stores() -> "Stores":
    """Return the stores."""
    from chalicelib.store.stores import build_stores

    settings = _settings()
    dynamodb = aws_clients.dynamodb("store")
    return build_stores(dynamodb, settings.tables, settings.captions_kept_seconds, time.time)


@once
def _rate_limits() -> "RateLimits":
    from chalicelib.rate_limits import RateLimits

    update_item = aws_clients.dynamodb("rateLimits").update_item
    return RateLimits(update_item, read_rate_limits(os.environ), time.time)


@once
def _settings() -> Settings:
    return read_settings(os.environ)
