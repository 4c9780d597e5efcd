"""The JavaScript client in a browser, against the local server."""

import pytest

from local_gateway import aws
from tests.browser.conftest import FOLDER, find_browser
from tests.javascript.test_client import run_tests
from tests.make import ROOT
from tests.stories.gate import Gate
from tests.stories.target import HIGH_LIMITS, local_server

USER = "browser@example.com"
RUN_SECONDS = 120


@pytest.mark.timeout(RUN_SECONDS)
def test_the_javascript_client_passes_its_tests_in_a_browser() -> None:
    chromium, node = find_browser()
    with local_server(**HIGH_LIMITS) as target, Gate(target.url).serving_in_thread() as gate:
        environment = {
            "CHROMIUM": chromium,
            "SERVICE_URL": gate.url,
            "SERVICE_ORIGIN": target.http_url,
            "SERVICE_TOKEN": target.tokens()["AccessToken"],
            "SIGN_IN_URL": target.environment["AWS_ENDPOINT_URL"],
            "SIGN_IN_CLIENT_ID": target.environment["COGNITO_CLIENT_ID"],
            "SIGN_IN_USER": USER,
            "SIGN_IN_PASSWORD": aws.USER_PASSWORD,
        }
        target.tokens(USER)
        script = FOLDER / "client" / "browser.test.js"
        command = (node, "--experimental-websocket", "--test", script)
        run_tests(*command, folder=ROOT, seconds=RUN_SECONDS, **environment)
    gate.check_messages()
