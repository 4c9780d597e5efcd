"""Plays a session against the running local server, so that one can watch.

A speaker, five listeners in three languages, heartbeats, a change of language, the counts, the
end. Every line is a message as it went over the wire, shortened.
"""

import argparse
import json
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from urllib.error import URLError
from urllib.parse import urlencode

from websockets.exceptions import WebSocketException
from websockets.sync.client import ClientConnection, connect

from devserver.user_token import token

WAIT_SECONDS = 10
LANGUAGES = ("es", "es", "fr", "fr", "de")


class DemoError(Exception):
    """A command was refused; the message says which code."""


class Actor:
    """Somebody on one connection, whose every word is printed."""

    def __init__(self, name: str, connection: ClientConnection) -> None:
        self.name = name
        self.connection = connection

    def ask(self, **command: str) -> dict[str, Any]:
        """Give a command, and wait for its outcome."""
        self._print("→", command)
        self.connection.send(json.dumps(command))
        return self.hear()

    def hear(self) -> dict[str, Any]:
        message: dict[str, Any] = json.loads(self.connection.recv(timeout=WAIT_SECONDS))
        self._print("←", message)
        if message["type"] == "error":
            raise DemoError(message["code"])
        return message

    def _print(self, arrow: str, message: dict[str, Any]) -> None:
        hidden = ("action", "type", "timestamp", "connectionId", "inviteCode")
        what = message.get("action") or message["type"]
        rest = "  ".join(f"{k}={v}" for k, v in message.items() if k not in hidden)
        print(f"{self.name:>11} {arrow} {what:16} {rest}")


@contextmanager
def on_stage(name: str, url: str, **query: str) -> Iterator[Actor]:
    with connect(f"{url}?{urlencode(query)}" if query else url) as connection:
        yield Actor(name, connection)


def play(url: str, speakers_token: str) -> None:
    with ExitStack() as stage:
        speaker = stage.enter_context(on_stage("speaker", url, token=speakers_token))
        created = speaker.ask(action="createSession", sourceLanguage="en")
        session_id = created["sessionId"]

        print(
            f"\n    Five listeners come: four say the id, and one follows a link to {session_id}.\n"
        )
        listeners = []
        for number, language in enumerate(LANGUAGES[:-1], start=1):
            listener = stage.enter_context(on_stage(f"listener {number}", url))
            spoken = session_id.replace("-", " ").title()
            listener.ask(action="joinSession", sessionId=spoken, targetLanguage=language)
            listeners.append(listener)
        link = {"action": "joinSession", "sessionId": session_id, "targetLanguage": LANGUAGES[-1]}
        linked = stage.enter_context(
            on_stage("listener 5", url, **link, inviteCode=created["inviteCode"])
        )
        linked.hear()
        listeners.append(linked)

        print("\n    All of them show that they are there.\n")
        for actor in (speaker, *listeners):
            actor.ask(action="heartbeat")

        print("\n    One changes language, and the speaker looks at the hall.\n")
        listeners[0].ask(action="changeLanguage", targetLanguage="it")
        speaker.ask(action="getSessionStatus")

        print("\n    The end, of which everyone hears.\n")
        speaker.ask(action="endSession")
        for listener in listeners:
            listener.hear()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m examples.demo", description=__doc__)
    parser.add_argument("--port", type=int, default=8000)
    port = parser.parse_args().port
    try:
        play(f"ws://127.0.0.1:{port}/local", token(port, "speaker@example.com"))
    except URLError:
        print(f"no local server on port {port}; start it: make local PORT={port}", file=sys.stderr)
        return 1
    except (DemoError, OSError, WebSocketException) as error:
        print(f"the demo cannot go on: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
