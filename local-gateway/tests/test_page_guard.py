"""Requests from web pages of other sites to the embedded AWS."""

import asyncio
import io
import json
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest

from gateway_support.plain_http import request
from gateway_support.serving import until
from local_gateway import aws
from local_gateway.page_guard import ORIGINS_VARIABLE, PageGuard, find_refusal_reason

PAGES = "http://127.0.0.1:8000"
FOREIGN_ORIGINS = [
    "https://evil.example",
    "http://127.0.0.1:1",
    "http://localhost:8001",
    "https://127.0.0.1:8000",
    "http://127.0.0.1:8000.evil.example",
    "null",
    "",
]
FOREIGN_HOSTS = [
    "evil.example",
    "127.0.0.1.evil.example",
    "localhost.evil.example",
    "127.0.0.2",
    "",
]


@pytest.fixture(scope="module")
def endpoint_url() -> Iterator[str]:
    with aws.ministack(**{ORIGINS_VARIABLE: PAGES}) as url:
        yield url


@pytest.mark.parametrize("origin", FOREIGN_ORIGINS)
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "OPTIONS"])
def test_a_page_of_another_origin_is_forbidden(endpoint_url: str, method: str, origin: str) -> None:
    status, headers, _ = request(endpoint_url, method, "/", Origin=origin)
    assert status == 403
    assert "Access-Control-Allow-Origin" not in headers


@pytest.mark.parametrize("host", FOREIGN_HOSTS)
@pytest.mark.parametrize("path", ["/", "/_ministack/health", "/oauth2/authorize"])
def test_a_page_whose_host_resolves_here_is_forbidden(
    endpoint_url: str, path: str, host: str
) -> None:
    assert request(endpoint_url, "GET", path, Host=host).status == 403
    own = {"Host": host, "Origin": f"http://{host}", "Sec_Fetch_Site": "same-origin"}
    assert request(endpoint_url, "POST", path, **own).status == 403


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_an_image_request_from_another_site_is_forbidden(endpoint_url: str, site: str) -> None:
    query = urlencode({"Action": "CreateQueue", "QueueName": f"made-by-{site}"})
    assert request(endpoint_url, "GET", f"/?{query}", Sec_Fetch_Site=site).status == 403
    queues = aws.client("sqs", endpoint_url).list_queues(QueueNamePrefix="made-by")
    assert queues.get("QueueUrls", []) == []


@pytest.mark.parametrize("headers", [{"Origin": "https://evil.example"}, {"Host": "evil.example"}])
def test_no_page_can_create_or_invoke_a_function(
    endpoint_url: str, headers: dict[str, str]
) -> None:
    functions = aws.client("lambda", endpoint_url)
    body = json.dumps({"FunctionName": "evil", "Role": "arn:aws:iam::000000000000:role/evil"})
    path = "/2015-03-31/functions"
    assert request(endpoint_url, "POST", path, body.encode(), **headers).status == 403
    assert request(endpoint_url, "POST", f"{path}/evil/invocations", **headers).status == 403
    assert functions.list_functions()["Functions"] == []


@pytest.mark.parametrize(
    ("header", "is_open"),
    [
        ((b"origin", b"https://evil.example"), False),
        ((b"origin", b"null"), False),
        ((b"host", b"abcdefghij.execute-api.evil.example"), False),
        ((b"host", b"abcdefghij.execute-api.localhost:4566"), True),
        ((b"origin", PAGES.encode()), True),
    ],
)
def test_only_programs_and_own_pages_can_open_a_websocket(
    header: tuple[bytes, bytes], *, is_open: bool
) -> None:
    reached, sent = [], []

    async def app(scope: Any, *_: Any) -> None:
        reached.append(scope)

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "websocket", "path": "/", "headers": [header]}
    asyncio.run(PageGuard(app, [PAGES])(scope, lambda: None, send))
    assert bool(reached) == is_open
    assert sent == ([] if is_open else [{"type": "websocket.close"}])


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Host": "localhost"},
        {"Host": "[::1]:4566"},
        {"Host": "some-bucket.localhost:4566"},
        {"Host": "abcdefghij.execute-api.localhost"},
        {"Sec_Fetch_Site": "none"},
        {"Origin": PAGES},
        {"Origin": PAGES, "Sec_Fetch_Site": "same-site"},
        {"Host": "localhost:1234", "Origin": "http://localhost:1234"},
    ],
)
def test_programs_and_own_pages_are_answered(endpoint_url: str, headers: dict[str, str]) -> None:
    assert request(endpoint_url, "GET", "/_ministack/health", **headers).status == 200


def test_an_own_page_can_call_cognito_with_fetch(endpoint_url: str) -> None:
    asked = {"Origin": PAGES, "Access_Control_Request_Method": "POST"}
    status, headers, _ = request(endpoint_url, "OPTIONS", "/oauth2/token", **asked)
    assert (status, headers["Access-Control-Allow-Origin"]) == (200, "*")


@pytest.mark.parametrize(
    ("destination", "is_shown"), [("document", True), ("iframe", False), ("image", False)]
)
def test_only_navigation_can_reach_the_sign_in_page(destination: str, is_shown: bool) -> None:
    headers = [("host", "localhost"), ("sec-fetch-site", "cross-site")]
    headers.append(("sec-fetch-dest", destination))
    assert (find_refusal_reason(headers, is_sign_in=True) is None) == is_shown
    assert find_refusal_reason(headers) is not None


RUNTIME = """#!/usr/bin/env python3
import json, os, time, urllib.request
api = f"http://{os.environ['AWS_LAMBDA_RUNTIME_API']}/2018-06-01/runtime/invocation"
with urllib.request.urlopen(f"{api}/next") as event:
    request_id = event.headers["Lambda-Runtime-Aws-Request-Id"]
    where = json.load(event)["where"]
open(where, "w").write(api)
while os.path.exists(where):
    time.sleep(0.01)
urllib.request.urlopen(f"{api}/{request_id}/response", data=b'"done"')
"""


def test_pages_cannot_use_the_api_of_a_custom_runtime(endpoint_url: str, tmp_path: Path) -> None:
    functions, where = aws.client("lambda", endpoint_url), tmp_path / "runtime-api"
    functions.create_function(
        FunctionName="own-runtime",
        Runtime="provided.al2023",
        Role="arn:aws:iam::000000000000:role/own-runtime",
        Handler="bootstrap",
        Code={"ZipFile": _package(RUNTIME)},
        Timeout=30,
    )
    event = json.dumps({"where": str(where)})
    with ThreadPoolExecutor() as pool:
        run = pool.submit(functions.invoke, FunctionName="own-runtime", Payload=event)
        until(lambda: run.done() or (where.exists() and where.read_text() != ""))
        url = where.read_text()
        path = urlsplit(url).path + "/next"
        try:
            for headers in ({"Host": "evil.example"}, {"Origin": "null"}):
                assert request(url, "GET", path, **headers).status == 403
        finally:
            where.unlink()
        assert json.load(run.result()["Payload"]) == "done"
    functions.delete_function(FunctionName="own-runtime")


def _package(bootstrap: str) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        entry = zipfile.ZipInfo("bootstrap")
        entry.external_attr = 0o755 << 16
        archive.writestr(entry, bootstrap)
    return content.getvalue()
