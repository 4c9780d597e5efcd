"""The start page at GET /, which describes the gateway and links to its endpoints."""

from html import escape
from typing import Final

from local_gateway import faults_api, metrics_api
from local_gateway.gateway import Gateway
from local_gateway.http_messages import Response

PATH: Final = "/"

_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'",
    "X-Frame-Options": "DENY",
}

_PAGE: Final = """<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<title>Local API Gateway</title>
<style>body {{ font: 16px/1.5 system-ui; max-width: 40em; margin: 3em auto }}</style>
<h1>Local API Gateway</h1>
<p>This gateway runs a Chalice project's WebSocket API on your machine, as API Gateway and Lambda
run it on AWS. Use it for development only. Its HTTP endpoints need no credentials.</p>
<ul>
<li>WebSocket: <code>{endpoint}</code>
<li><a href="{metrics}">Metrics</a>, in Prometheus' format
<li><a href="{faults}">Faults</a> that you can set
<li><a href="{environment}">Environment</a> of the embedded AWS
</ul>
"""


def respond(gateway: Gateway, environment_path: str) -> Response:
    """Respond with the page, which has no scripts and loads no other resources."""
    page = _PAGE.format(
        endpoint=escape(gateway.endpoint),
        metrics=escape(f"/{gateway.api.stage}/{metrics_api.NAME}"),
        faults=faults_api.PATH,
        environment=environment_path,
    )
    return Response(200, page.encode(), _HEADERS, "text/html; charset=utf-8")
