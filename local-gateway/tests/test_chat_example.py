"""The example project examples/chat, served with its table in the embedded AWS."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection

from gateway_support.serving import SECONDS, Server, serving

CHAT = Path(__file__).parents[1] / "examples" / "chat"


@pytest.fixture
def chat() -> Iterator[Server]:
    with serving(CHAT, "--no-reload", has_aws=True) as running:
        yield running


def receive(client: ClientConnection) -> Any:
    return json.loads(client.recv(SECONDS))


def refusal_of(chat: Server, **query: str) -> int:
    with pytest.raises(InvalidStatus) as refused:
        chat.connect(**query)
    return refused.value.response.status_code


def test_a_client_without_a_name_or_with_a_banned_one_is_refused(chat: Server) -> None:
    assert refusal_of(chat) == 401
    assert refusal_of(chat, name="") == 401
    assert refusal_of(chat, name="mallory") == 403


def test_two_clients_chat_and_the_metrics_count_their_events(chat: Server) -> None:
    with chat.connect(name="anna") as anna, chat.connect(name="ben") as ben:
        assert receive(anna) == {"joined": "ben"}
        anna.send("Hello, Ben!")
        assert receive(anna) == {"from": "anna", "text": "Hello, Ben!"}
        assert receive(anna) == {"delivered": 2}
        assert receive(ben) == {"from": "anna", "text": "Hello, Ben!"}
        metrics = chat.metrics()
    assert metrics["local_gateway_open_connections"] == 2
    assert metrics['local_gateway_events_total{outcome="200",route="$connect"}'] == 2


def test_the_others_hear_that_a_client_leaves(chat: Server) -> None:
    with chat.connect(name="anna") as anna:
        with chat.connect(name="ben"):
            assert receive(anna) == {"joined": "ben"}
        assert receive(anna) == {"left": "ben"}


def test_a_lost_client_does_not_stop_the_others(chat: Server) -> None:
    chat.set_faults(disconnect_lost_share=1)
    with chat.connect(name="ben"), chat.connect(name="anna") as anna:
        chat.connect(name="carol").socket.close()
        assert receive(anna) == {"joined": "carol"}
        chat.out.wait_for("lost by a fault")
        anna.send("Is Carol here?")
        assert receive(anna) == {"from": "anna", "text": "Is Carol here?"}
        assert receive(anna) == {"delivered": 2}


def test_a_fault_of_the_gateway_reaches_the_chat(chat: Server) -> None:
    with chat.connect(name="anna") as anna:
        chat.set_faults(handler_raises_share=1, handler_only="$default")
        anna.send("hello")
        assert receive(anna)["message"] == "Internal server error"
        chat.set_faults()
        anna.send("hello")
        assert receive(anna) == {"from": "anna", "text": "hello"}
