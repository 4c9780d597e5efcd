"""Plays a session against the running local server, so that one can watch.

A speaker, five listeners in three languages, heartbeats, a change of language, the counts, a pause,
a listener's refresh, a speaker who loses his network and comes back, the end. Every line is a
message as it went over the wire, shortened.
"""

import argparse
import json
import sys
from collections.abc import Iterable, Iterator
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
        self.connection_id = ""

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
        self.connection_id = message.get("connectionId", self.connection_id)
        return message

    def _print(self, arrow: str, message: dict[str, Any]) -> None:
        hidden = ("action", "type", "timestamp", "connectionId", "inviteCode")
        what = message.get("action") or message["type"]
        rest = "  ".join(f"{k}={v}" for k, v in message.items() if k not in hidden)
        print(f"{self.name:>11} {arrow} {what:25} {rest}")


@contextmanager
def on_stage(name: str, url: str, **query: str) -> Iterator[Actor]:
    with connect(f"{url}?{urlencode(query)}" if query else url) as connection:
        yield Actor(name, connection)


def play(url: str, speakers_token: str) -> None:
    with ExitStack() as stage:
        speaker = stage.enter_context(on_stage("speaker", url, token=speakers_token))
        created = speaker.ask(action="createSession", sourceLanguage="en")
        session_id = created["sessionId"]
        invited = {"sessionId": session_id, "inviteCode": created["inviteCode"]}

        print("\n    Five listeners come: one says the id, four follow the speaker's link.\n")
        listeners = []
        for number, language in enumerate(LANGUAGES, start=1):
            link = {"action": "joinSession", "targetLanguage": language, **invited}
            if number == 1:
                link = {}
            listener = stage.enter_context(on_stage(f"listener {number}", url, **link))
            if number == 1:
                spoken = session_id.replace("-", " ").title()
                listener.ask(action="joinSession", sessionId=spoken, targetLanguage=language)
            else:
                listener.hear()
            listeners.append(listener)

        print("\n    All of them show that they are there.\n")
        for actor in (speaker, *listeners):
            actor.ask(action="heartbeat")

        print("\n    One changes language, and the speaker looks at the hall.\n")
        listeners[0].ask(action="changeLanguage", targetLanguage="it")
        speaker.ask(action="getSessionStatus")

        print("\n    A break.\n")
        for action in ("pauseSession", "resumeSession"):
            speaker.ask(action=action)
            hear_all(listeners)

        print("\n    One listener moves to a new connection, which takes the place of the old.\n")
        old = listeners[0]
        listeners[0] = stage.enter_context(on_stage("listener 1", url))
        refresh = {"action": "refreshConnection", "sessionId": session_id}
        place = {"role": "listener", "targetLanguage": "it", "connectionId": old.connection_id}
        listeners[0].ask(**refresh, **place)
        old.connection.close()

        print("\n    The speaker loses his network, and comes back.\n")
        speaker.connection.socket.close()
        hear_all(listeners)
        speaker = stage.enter_context(on_stage("speaker", url, token=speakers_token))
        speaker.ask(**refresh, role="speaker")
        hear_all(listeners)
        speaker.ask(action="getSessionStatus")

        print("\n    The end, of which everyone hears.\n")
        speaker.ask(action="endSession")
        hear_all(listeners)


def hear_all(listeners: Iterable[Actor]) -> None:
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
