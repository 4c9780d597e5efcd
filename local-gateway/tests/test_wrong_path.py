"""Requests whose path the gateway doesn't serve."""

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from gateway_support.serving import Server, serving
from local_gateway.wrong_path import describe


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("/eyJsecret.eyJsecret." + "x" * 40, "wrong path 403"),
        ("/a%0Ab", "wrong path 403"),
        ("//nope", "wrong path 403"),
        ("*", "wrong path 403"),
        ("/dev/@connections/secret", "wrong path /dev/... 403"),
        ("/favicon.ico", "wrong path /favicon.ico 403"),
    ],
)
def test_the_first_part_of_a_path_is_shown_if_it_is_a_plain_name(path: str, line: str) -> None:
    assert describe(path) == line


def test_a_wrong_path_is_logged_without_the_query() -> None:
    with serving("recorder", "--no-reload", "--stage", "dev") as server:
        with pytest.raises(InvalidStatus) as refused:
            connect(server.url.removesuffix("dev") + "local?token=secret")
        assert refused.value.response.status_code == 403
        line = server.out.wait_for("wrong path")
        assert line.split(" ", 1)[1].startswith("#- wrong path /local 403 ")


def test_a_wrong_method_is_not_logged_as_a_wrong_path() -> None:
    with serving("recorder", "--no-reload") as server:
        assert server.request("POST", "/local")[0] == 403
        assert server.stop() == 0
        assert len(server.out.lines) == 1


def test_each_wrong_path_is_counted(server: Server) -> None:
    def counted() -> float:
        return sum(value for name, value in server.metrics().items() if '"wrong path"' in name)

    before = counted()
    for path in ("/nope", "/nope/2", "/nope?x"):
        assert server.request("GET", path)[0] == 403
    assert counted() - before == 3
