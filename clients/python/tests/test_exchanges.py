"""The recorded exchanges of `clients/exchanges`, which the JavaScript client plays, too."""

import asyncio
import base64
import json
import re
from collections import deque
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from broadcast_sessions_client import (
    AudienceChanged,
    Audio,
    Caption,
    Event,
    Gap,
    Listener,
    SessionError,
    Speaker,
    StateChanged,
)
from client_support.scripted_loop import loop, run, settle
from client_support.scripted_server import ScriptedServer, ScriptedSocket

URL = "ws://service.example/stage"
FOLDER = Path(__file__).parents[2] / "exchanges"
EXCHANGES = {path.stem: json.loads(path.read_text()) for path in sorted(FOLDER.glob("*.json"))}
FOR_PYTHON = [name for name, it in EXCHANGES.items() if "python" in it.get("clients", ["python"])]
STIMULI = {"call", "server", "drop", "elapse", "sleep"}

Step = dict[str, Any]


@pytest.mark.parametrize("name", FOR_PYTHON)
def test_an_exchange_is_played_exactly(name: str) -> None:
    async def play() -> None:
        await Player(EXCHANGES[name]).play()

    run(play())


class Player:
    """Plays one exchange with a new client."""

    def __init__(self, exchange: dict[str, Any]) -> None:
        self.exchange = exchange
        self.server = ScriptedServer()
        self.client = self._client(exchange["role"], dict(exchange["options"]))
        self.sockets: dict[str, ScriptedSocket] = {}
        self.calls: list[asyncio.Task[Any]] = []
        self.settled: deque[asyncio.Task[Any]] = deque()
        self.events: deque[Event] = deque()

    async def play(self) -> None:
        for step in self.exchange["steps"]:
            if STIMULI & step.keys():
                self._check_nothing_else()
            await self._play(step)
            await settle()
            await self._collect_events()
        self._check_nothing_else()
        open_sockets = [socket for socket in self.sockets.values() if socket.is_open]
        ends = {"state": self.client.state, "connections": len(open_sockets)}
        assert ends == self.exchange["ends"]
        await self.client.close()
        for call in self.calls:
            await asyncio.wait([call])

    async def _play(self, step: Step) -> None:
        match step:
            case {"call": name}:
                self._call(name, step.get("with", []))
            case {"opens": name, "credentials": credentials, "answer": answer}:
                opening = self.server.openings.popleft()
                url = urlsplit(opening.url)
                assert opening.url.partition("?")[0] == URL
                assert (parse_qs(url.query), dict(opening.headers)) == self._sent(
                    credentials, step.get("token")
                )
                socket = opening.answer(answer)
                if answer == 101:
                    self.sockets[name] = socket
            case {"client": frame}:
                assert self._socket(step).done.popleft() == frame
            case {"closes": name, "code": code}:
                assert self.sockets[name].done.popleft() == code
            case {"server": message}:
                if "bytes" in step:
                    message = json.dumps(message).ljust(step["bytes"])
                self._socket(step).serve(message)
            case {"drop": name}:
                self.sockets[name].drop(step["code"])
            case {"event": expected}:
                assert in_json(self.events.popleft()) == expected
            case {"result": expected}:
                assert_contains(self.settled.popleft().result(), expected)
            case {"error": expected}:
                error = self.settled.popleft().exception()
                assert isinstance(error, SessionError)
                fields = camel(vars(error))
                assert {key: fields[key] for key in expected} == pytest.approx(expected)
            case {"elapse": seconds}:
                await loop().elapse(seconds)
            case {"sleep": seconds}:
                loop().asleep_seconds += seconds
            case {"others": _}:
                pass
            case _:
                raise AssertionError(f"an unknown step: {step}")

    def _client(self, role: str, options: dict[str, Any]) -> Listener | Speaker:
        environment = self.server.environment
        if role == "listener":
            return Listener(URL, **options, environment=environment)
        tokens = options.pop("tokens", None)
        token = callback_for(tokens) if tokens else options.pop("token")
        return Speaker(URL, token=token, **options, environment=environment)

    def _call(self, name: str, arguments: list[Any]) -> None:
        options: dict[str, Any] = {}
        if arguments and isinstance(arguments[-1], dict):
            options = {snake(key): value for key, value in arguments[-1].items()}
            arguments = arguments[:-1]
        call = asyncio.create_task(getattr(self.client, snake(name))(*arguments, **options))
        self.calls.append(call)
        if name != "close":
            call.add_done_callback(self.settled.append)

    def _sent(self, credentials: str, token: str | None) -> tuple[dict[str, Any], dict[str, str]]:
        """Return the query and the headers of these credentials."""
        options = self.exchange["options"]
        match credentials:
            case "invite":
                return {"sessionId": [options["session"]], "inviteCode": [options["invite"]]}, {}
            case "token":
                return {}, {"Authorization": f"Bearer {token}"}
            case _:
                return {}, {}

    def _socket(self, step: Step) -> ScriptedSocket:
        if "on" in step:
            return self.sockets[step["on"]]
        [socket] = self.sockets.values()
        return socket

    async def _collect_events(self) -> None:
        while self.client.buffer.length:
            self.events.append(await anext(self.client))

    def _check_nothing_else(self) -> None:
        assert not self.server.openings
        assert not self.events
        assert not self.settled
        assert {name: list(it.done) for name, it in self.sockets.items() if it.done} == {}


def callback_for(tokens: list[str | dict[str, str] | None]) -> Any:
    """Return a callback that gives one token after the other, and the last one from then on."""
    given = iter(tokens)
    last = tokens[-1]

    async def give() -> str:
        token = next(given, last)
        if token is None:
            raise LookupError("there is no token")
        if isinstance(token, dict):
            raise SessionError(token["code"], "a refusal")
        return token

    return give


def assert_contains(result: Any, expected: Any) -> None:
    if is_dataclass(result) and not isinstance(result, type):
        fields = camel(asdict(result))
        result = {key: fields[key] for key in expected}
    assert result == expected


def in_json(event: Event) -> dict[str, Any]:
    match event:
        case StateChanged(state, reason, seconds):
            wait = None if seconds is None else round(seconds, 6)
            return {"type": "state", "state": state, "reason": reason, "retryInSeconds": wait}
        case AudienceChanged(count, languages):
            return {"type": "audience", "listenerCount": count, "languages": dict(languages)}
        case Caption():
            fields = {key: value for key, value in camel(vars(event)).items() if value is not None}
            audio = {"audio": audio_in_json(event.audio)} if event.audio else {}
            return {"type": "caption", **fields, **audio}
        case Gap():
            return {"type": "gap", **camel(vars(event))}
    raise AssertionError(event)


def audio_in_json(audio: Audio) -> dict[str, Any]:
    if audio.data is None:
        return {"url": audio.url}
    return {"data": base64.b64encode(audio.data).decode(), "contentType": audio.content_type}


def snake(name: str) -> str:
    return re.sub("[A-Z]", lambda letter: f"_{letter[0].lower()}", name)


def camel(fields: dict[str, Any]) -> dict[str, Any]:
    return {re.sub("_([a-z])", lambda it: it[1].upper(), key): fields[key] for key in fields}
