"""The live view of `make local` during a session."""

import re
from contextlib import ExitStack
from urllib.request import urlopen

from gateway_support.pseudo_terminal import address_of, gateway_in_terminal
from gateway_support.serving import parse_metrics
from local_gateway.user_token import served_environment
from tests.stories.target import Client, Target, client


def test_the_view_shows_sessions_listeners_and_refusals() -> None:
    panel = ("--panel", "operations.live_panel:tables")
    with (
        gateway_in_terminal("--no-reload", *panel, columns=140) as terminal,
        ExitStack() as stack,
    ):
        url = address_of(terminal)
        port = int(url.rpartition(":")[2].partition("/")[0])
        target = Target(url, served_environment(port))
        terminal.wait_for(r"sessions \(0\) +status")

        token = target.tokens()["IdToken"]
        speaker: Client = stack.enter_context(client(target, token=token))
        session_id = speaker.ask(action="createSession", sourceLanguage="en")["sessionId"]
        for language in ("es", "es", "fr"):
            join = {"action": "joinSession", "sessionId": session_id, "targetLanguage": language}
            listener = stack.enter_context(client(target, **join))
            assert listener.receive()["type"] == "sessionJoined"
        assert speaker.send('{"action": "joinSession"}')["type"] == "error"

        # Faults affect the application but not the panel.
        target.set_faults(dynamodb_down_share=1)
        terminal.wait_for(rf"{session_id} +active +en +3 +0:\d\d")
        terminal.wait_for(r"es +2 ")
        terminal.wait_for(r"fr +1 ")
        terminal.wait_for(r"ListenerJoinLatency +ms ")
        refusal = terminal.wait_for(r"ConnectionErrors (\w+) +1 ")[1]
        target.set_faults()

        with urlopen(f"{target.http_url}/local/metrics", timeout=10) as answer:
            metrics = parse_metrics(answer.read().decode())
        name = "broadcast_sessions_connection_errors_total"
        assert metrics[f'{name}{{code="{refusal}",stage="local"}}'] == 1
        name = "broadcast_sessions_session_creation_latency_milliseconds_count"
        assert metrics[f'{name}{{stage="local"}}'] == 1
        assert metrics["local_gateway_open_connections"] == 4
        assert b"_aws" not in terminal.written

        speaker.ask(action="endSession")
        terminal.wait_for(r"sessions \(0\) +status")
        terminal.stop()
    assert not re.search(r"listeners +in", "\n".join(terminal.lines()))
