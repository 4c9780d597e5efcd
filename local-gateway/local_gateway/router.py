"""Routing of HTTP requests by path."""

from urllib.parse import unquote

from local_gateway import connections_api, faults_api, lambda_api, metrics_api, start_page
from local_gateway.admission import refusal_body
from local_gateway.events import make_id
from local_gateway.gateway import Gateway
from local_gateway.http_messages import Reply, Request, Response, error_response, json_response
from local_gateway.local_only import find_refusal_reason
from local_gateway.wrong_path import log_wrong_path

MAX_URL_CHARS = 4096
"""Maximum length of a URL. Source: developer guide, limits of WebSocket APIs."""

ENVIRONMENT_PATH = "/_local_gateway/environment"


def find_refusal(gateway: Gateway, request: Request) -> int | None:
    """Return the status with which to refuse an upgrade request; None if it is acceptable.

    AWS documents no status for a URL that is too long. 403 is the gateway's choice.
    """
    url_chars = len(request.path) + len(request.query) + 1
    if not _is_stage(gateway, request.path):
        log_wrong_path(gateway, request.path)
        return 403
    if url_chars > MAX_URL_CHARS:
        return 403
    return 503 if gateway.is_stopping else None


def respond(gateway: Gateway, request: Request, reply: Reply) -> None:
    """Respond to a request other than an upgrade.

    Args:
        gateway: The gateway.
        request: The request.
        reply: Receives the response, once, before or after this function returns.
    """
    reason = find_refusal_reason(request, gateway.own_hosts)
    if reason is not None and not _is_stage(gateway, request.path):
        reply(error_response(403, "ForbiddenException", reason))
        return
    prefix = f"/{gateway.api.stage}/@connections/"
    path = request.path.replace("%40", "@")
    if path.startswith(prefix):
        connections_api.respond(gateway, request, path.removeprefix(prefix), reply)
        return
    name = lambda_api.find_name(path)
    if name is not None and request.method == "POST":
        lambda_api.respond(gateway, request, name, reply)
    elif path == faults_api.PATH:
        faults_api.respond(gateway, request, reply)
    else:
        reply(_respond(gateway, request))


def _respond(gateway: Gateway, request: Request) -> Response:
    if request.path == ENVIRONMENT_PATH and request.method == "GET":
        return json_response(
            200,
            {
                "endpoint": gateway.endpoint,
                "environment": gateway.environment,
                "clockRate": gateway.clock_rate,
            },
        )
    if request.path == start_page.PATH and request.method in ("GET", "HEAD"):
        return start_page.respond(gateway, ENVIRONMENT_PATH)
    if request.path == f"/{gateway.api.stage}/{metrics_api.NAME}":
        return metrics_api.respond(gateway, request)
    if not _is_stage(gateway, request.path):
        log_wrong_path(gateway, request.path)
    elif request.method == "GET":
        return Response(426, refusal_body(426, make_id()), {"Upgrade": "websocket"})
    # boto3 maps the header to a modeled exception, as for an endpoint URL without the stage.
    return Response(403, refusal_body(403, make_id()), {"x-amzn-ErrorType": "ForbiddenException"})


def _is_stage(gateway: Gateway, path: str) -> bool:
    return unquote(path) in (f"/{gateway.api.stage}", f"/{gateway.api.stage}/")
