"""The recorded exchanges of clients/exchanges, played against the service.

The player is the client: it sends what a client must send, and expects what the service sends. It
skips what a client does by itself: calls, events, results, and the time that passes.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from tests import exchanges
from tests.stories.player import Player
from tests.stories.target import GRACE_SECONDS, HIGH_LIMITS, Target, local_server

EXCHANGES = exchanges.read_all()
PLAYED = {name: each for name, each in EXCHANGES.items() if each["service"] is True}


def test_the_service_plays_at_least_two_thirds_of_the_exchanges() -> None:
    assert len(PLAYED) >= len(EXCHANGES) * 2 / 3


@pytest.fixture(scope="module")
def find_target(served: Target) -> Iterator[Callable[[dict[str, str]], Target]]:
    """Return a function that finds or starts the server with the given settings."""
    targets = {json.dumps({}): served}
    with ExitStack() as stack:

        def find(settings: dict[str, str]) -> Target:
            key = json.dumps(settings)
            if key not in targets:
                grace = {"SPEAKER_GRACE_SECONDS": str(GRACE_SECONDS)}
                server = local_server(**{**HIGH_LIMITS, **grace, **settings})
                targets[key] = stack.enter_context(server)
            return targets[key]

        yield find


@pytest.mark.parametrize("name", PLAYED)
def test_the_service_sends_what_an_exchange_says(
    find_target: Callable[[dict[str, str]], Target], name: str
) -> None:
    exchange = PLAYED[name]
    target = find_target(exchange.get("given", {}).get("settings", {}))
    with ExitStack() as stack:
        Player(target, exchange, stack).play_all()
