"""The endpoint GET /STAGE/metrics, which serves the collected metrics to Prometheus."""

from local_gateway.emf import Metric
from local_gateway.gateway import Gateway
from local_gateway.http_messages import Request, Response, error_response
from local_gateway.prometheus import Family, Kind, Reading

NAME = "metrics"
"""The last part of the path. It follows the stage, as `@connections` does."""

OPEN_CONNECTIONS = Metric("LocalGateway", "OpenConnections", "None")


def respond(gateway: Gateway, request: Request) -> Response:
    """Respond with all metrics in Prometheus' text format. Takes a few milliseconds."""
    if request.method != "GET":
        refusal = error_response(405, "MethodNotAllowedException", "metrics accepts GET only")
        refusal.headers["Allow"] = "GET"
        return refusal
    # Imported here because most runs of the gateway don't need it.
    from local_gateway.exposition import CONTENT_TYPE, encode

    text = encode([*gateway.collector.read(), _open_connections(gateway)])
    return Response(200, text, content_type=CONTENT_TYPE)


def url_of(gateway: Gateway) -> str:
    """Return the URL of the metrics."""
    return f"{gateway.endpoint.replace('ws:', 'http:', 1)}/{NAME}"


def _open_connections(gateway: Gateway) -> Family:
    now = float(len(gateway.open_connections))
    return Family(OPEN_CONNECTIONS, Kind.GAUGE, [Reading((), now, 1, (), ())])
