"""A player of recorded exchanges, which acts as the client and as the other participants."""

import json
from collections import defaultdict
from contextlib import ExitStack
from typing import Any, Final

from tests.exchanges import Exchange, Step
from tests.stories.recorded import Message, Recorded
from tests.stories.target import Client, Target, client, refused_with, until

SPEAKER: Final = "speaker@example.com"
ANOTHER_SPEAKER: Final = "another@example.com"

SESSION_ID: Final = "golden-eagle-427"
INVITE_CODE: Final = "b3FQvY0mJ0h1VnKx"
"""The session and the invite code in all exchanges."""

CAPTION: Final = "Good morning"
"""What the other speaker says in all exchanges."""

FIRST: Final = "XhS3QcXKIAMCFaw="
"""The ID of the first connection in all exchanges."""

SKIPPED: Final = {"call", "elapse", "error", "event", "page", "result", "sleep"}
"""The steps that the service doesn't notice."""


class Player:
    """The client of an exchange, which sends what a client must send."""

    def __init__(self, target: Target, exchange: Exchange, stack: ExitStack) -> None:
        self.target = target
        self.exchange = exchange
        self.has_headers = exchange.get("clients") == ["python"]
        self.stack = stack
        self.recorded = Recorded()
        self.clients: dict[str, Client] = {}
        self.unanswered: defaultdict[str, list[str]] = defaultdict(list)
        self.connection_ids: dict[str, str] = {}
        self.sent = 0
        self.others = Others(target, stack, self.recorded)

    def play_all(self) -> None:
        """Play the exchange, and check that nothing has arrived that it doesn't say."""
        if session := self.exchange.get("given", {}).get("session"):
            self.others.create(session)
        for step in self.exchange["steps"]:
            self.play(step)
        assert len(self.clients) == self.exchange["ends"]["connections"]
        for name, each in self.clients.items():
            assert self.unanswered[name] == []
            answer = each.send('{"action": "unknown", "requestId": "last"}')
            assert answer["requestId"] == "last"

    def play(self, step: Step) -> None:
        """Play one step. A step without a connection is about the only one that is open."""
        match step:
            case {"opens": name, "credentials": credentials, "answer": answer}:
                self.open(name, credentials, answer)
            case {"client": command}:
                self.send(step.get("on") or self.only(), command)
            case {"server": message}:
                is_status = message.get("type") == "sessionStatus"
                heard = self.receive(step.get("on") or self.only(), is_status=is_status)
                self.recorded.check(heard, message)
            case {"drop": name, "code": code} | {"closes": name, "code": code}:
                self.leave(name, code)
            case {"page": "reload"}:
                self.leave(self.only(), 1001)
            case {"others": action}:
                self.others.do(action)
            case _:
                assert SKIPPED & step.keys()

    def only(self) -> str:
        """Return the name of the only open connection."""
        (name,) = self.clients
        return name

    def open(self, name: str, credentials: str, answer: int | str) -> None:
        """Open a connection, unless the network is what fails."""
        if isinstance(answer, str):
            return
        query, headers = self.credentials(credentials, is_valid=answer == 101)
        if answer == 101:
            opened = client(self.target, headers, **query)
            self.clients[name] = self.stack.enter_context(opened)
        else:
            assert refused_with(self.target, headers, **query) == answer

    def credentials(
        self, kind: str, *, is_valid: bool
    ) -> tuple[dict[str, str], dict[str, str] | None]:
        """Return the query string and the headers of a connection."""
        if kind == "none":
            return {}, None
        if kind == "invite":
            actual = self.recorded.actual
            return {"sessionId": actual[SESSION_ID], "inviteCode": actual[INVITE_CODE]}, None
        token = self.target.tokens(SPEAKER)["IdToken"] if is_valid else "expired"
        if self.has_headers:
            return {}, {"Authorization": f"Bearer {token}"}
        return {"token": token}, None

    def send(self, name: str, command: Message) -> None:
        """Send a command with a request ID."""
        self.sent += 1
        self.unanswered[name].append(str(self.sent))
        frame = {**self.recorded.translate(command), "requestId": str(self.sent)}
        self.clients[name].connection.send(json.dumps(frame))

    def receive(self, name: str, *, is_status: bool = False) -> Message:
        """Return the next message, without its request ID if it answers a command.

        Args:
            name: The name of the connection.
            is_status: Whether a status is expected, which can be a notice of the audience.
        """
        connected = self.clients[name]
        heard = connected.receive_any() if is_status else connected.receive()
        if "connectionId" in heard:
            self.connection_ids[name] = heard["connectionId"]
        if "type" not in heard:
            self.unanswered[name].pop(0)
        elif "requestId" in heard:
            self.unanswered[name].remove(heard.pop("requestId"))
        return heard

    def leave(self, name: str, code: int) -> None:
        """Close or drop a connection on which answers may be lost, and wait until it has left."""
        while self.unanswered[name]:
            self.receive(name)
        leaving = self.clients.pop(name)
        if code == 1006:
            leaving.drop()
        else:
            leaving.close(code)
        if name in self.connection_ids:
            session_id = self.recorded.actual.get(SESSION_ID)
            until(lambda: has_left(self.target, self.connection_ids[name], session_id))


class Others:
    """The other participants of an exchange."""

    def __init__(self, target: Target, stack: ExitStack, recorded: Recorded) -> None:
        self.target = target
        self.stack = stack
        self.actual = recorded.actual
        self.user = SPEAKER
        self.speaker: Client | None = None
        self.listener: Client | None = None
        self.captions = 0

    def create(self, given: dict[str, str]) -> None:
        """Create the session that exists before the exchange."""
        self.user = SPEAKER if given.get("speaker") == "self" else ANOTHER_SPEAKER
        self.speaker = self.open_speaker()
        created = self.ask_speaker(
            action="createSession",
            sourceLanguage=given["sourceLanguage"],
            admission=given["admission"],
        )
        self.actual[SESSION_ID] = created["sessionId"]
        self.actual[INVITE_CODE] = created["inviteCode"]
        if given["status"] == "paused":
            self.do("pauseSession")
        elif given["status"] == "interrupted":
            self.do("speakerDrops")
            until(lambda: "graceEndsAt" in find_session(self.target, created["sessionId"]))

    def do(self, action: str) -> None:
        """Play one step `others`."""
        match action:
            case "pauseSession" | "resumeSession" | "endSession":
                self.ask_speaker(action=action)
            case "sendCaption":
                self.captions += 1
                caption_id = f"phrase-{self.captions}"
                self.ask_speaker(action="sendCaption", text=CAPTION, captionId=caption_id)
            case "speakerDrops":
                assert self.speaker
                self.speaker.drop()
            case "speakerReturns":
                self.speaker = self.open_speaker()
                self.ask_speaker(
                    action="refreshConnection", sessionId=self.actual[SESSION_ID], role="speaker"
                )
            case "graceEnds":
                self.target.start_sweep()
                until(self.has_ended)
            case "joinSession":
                self.listener = self.open()
                joined = self.ask_listener(action="joinSession")
                assert joined["type"] == "sessionJoined"
                self.listener_id = joined["connectionId"]
            case "leaveSession":
                assert self.listener
                self.listener.close()
                session_id = self.actual[SESSION_ID]
                until(lambda: has_left(self.target, self.listener_id, session_id))
            case "replacesListener":
                self.listener = self.open()
                replaced = self.ask_listener(
                    action="refreshConnection", role="listener", connectionId=self.actual[FIRST]
                )
                assert replaced["type"] == "connectionRefreshComplete"
            case "functionFails":
                self.stack.callback(self.target.set_faults)
                self.target.set_faults(handler_raises_share=1, handler_only="$default")
            case "postsFail":
                self.stack.callback(self.target.set_faults)
                self.target.set_faults(post_throttled_share=1)
            case "functionRecovers" | "postsRecover":
                self.target.set_faults()
            case _:
                raise AssertionError(action)

    def has_ended(self) -> bool:
        """Return whether the sweep has ended the session after its grace."""
        session = find_session(self.target, self.actual[SESSION_ID])
        return bool(session["status"]["S"] == "ended")

    def open(self, **query: str) -> Client:
        return self.stack.enter_context(client(self.target, None, **query))

    def open_speaker(self) -> Client:
        return self.open(token=self.target.tokens(self.user)["IdToken"])

    def ask_speaker(self, **command: str) -> Message:
        assert self.speaker
        outcome = self.speaker.ask(**command)
        assert outcome["type"] != "error", outcome
        return outcome

    def ask_listener(self, **command: str) -> Message:
        assert self.listener
        return self.listener.ask(**command, sessionId=self.actual[SESSION_ID], targetLanguage="es")


def has_left(target: Target, connection_id: str, session_id: str | None) -> bool:
    """Return whether a connection is no participant, and its session has released its seat."""
    participants = target.participants()
    if any(each["connectionId"]["S"] == connection_id for each in participants):
        return False
    session = None if session_id is None else find_session(target, session_id)
    if session is None or session["status"]["S"] == "ended":
        return True
    listeners = [
        each
        for each in participants
        if each["sessionId"]["S"] == session_id and each["role"]["S"] == "listener"
    ]
    return int(session["listenerCount"]["N"]) == len(listeners)


def find_session(target: Target, session_id: str) -> dict[str, Any]:
    """Return a session's item."""
    (session,) = (
        each for each in target.records("SESSIONS_TABLE") if each["sessionId"]["S"] == session_id
    )
    return session
