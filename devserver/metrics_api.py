"""GET /STAGE/metrics: what the collector holds, and this server's own, for Prometheus."""

from devserver import prometheus
from devserver.emf import Metric
from devserver.gateway import Gateway
from devserver.http_messages import Request, Response, error_response
from devserver.prometheus import Family, Kind, Reading

NAME = "metrics"
"""Below the stage, as @connections is."""

OPEN_CONNECTIONS = Metric("devserver", "OpenConnections", "None")


def respond(gateway: Gateway, request: Request) -> Response:
    """Answer with Prometheus' text format; at once, for it takes a millisecond or few."""
    if request.method != "GET":
        refusal = error_response(405, "MethodNotAllowedException", "metrics can be got alone")
        refusal.headers["Allow"] = "GET"
        return refusal
    text = prometheus.encode([*gateway.collector.read(), _open_connections(gateway)])
    return Response(200, text.encode(errors="replace"), content_type=prometheus.CONTENT_TYPE)


def url_of(gateway: Gateway) -> str:
    """Return where the metrics are."""
    return f"{gateway.endpoint.replace('ws:', 'http:', 1)}/{NAME}"


def _open_connections(gateway: Gateway) -> Family:
    now = float(len(gateway.open_connections))
    return Family(OPEN_CONNECTIONS, Kind.GAUGE, [Reading((), now, 1, (), ())])
