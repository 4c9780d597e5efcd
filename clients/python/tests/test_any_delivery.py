"""Captions that arrive in any way. A listener has each, or knows exactly how many it missed."""

import asyncio
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from broadcast_sessions_client import Event, Gap, Listener
from client_support.captions import answer, covered, message
from client_support.members import JOINED, SESSION, answered, listener, waiting_events
from client_support.scripted_loop import loop, run, settle
from client_support.scripted_server import ScriptedServer, ScriptedSocket

EXAMPLES = 60
FIRST = 3
"""The number of the last caption before the listener joins."""

LARGEST_ANSWER = 4

REFUSED = {"type": "error", "code": "SERVICE_UNAVAILABLE", "retryAfter": 1, "temporary": True}

STEPS = st.sampled_from(
    [
        *("a caption arrives", "a caption arrives twice", "a caption is late"),
        *("a caption is lost", "a caption is lost and not kept"),
        *("the late captions arrive", "the connection drops", "a second passes"),
        *("the service answers", "the service refuses"),
    ]
)


class CaptionService:
    """The service with one listener, whose captions take any way."""

    def __init__(self) -> None:
        self.last_seq = FIRST
        self.lost_for_good: set[int] = set()
        self.late: list[int] = []
        self.events: list[Event] = []
        self.server = ScriptedServer()
        self.client: Listener
        self.socket: ScriptedSocket

    async def admit(self) -> None:
        self.client = listener(self.server)
        call = asyncio.create_task(self.client.join())
        self.socket = await answered(self.server, JOINED | {"lastSeq": FIRST})
        await call

    async def take(self, step: str) -> None:
        match step:
            case "a caption arrives":
                self.send(self.publish())
            case "a caption arrives twice":
                seq = self.publish()
                self.send(seq)
                self.send(seq)
            case "a caption is late":
                self.late.append(self.publish())
            case "a caption is lost":
                self.publish()
            case "a caption is lost and not kept":
                self.lost_for_good.add(self.publish())
            case "the late captions arrive":
                for seq in reversed(self.late):
                    self.send(seq)
                self.late.clear()
            case "the connection drops":
                await self.drop()
            case "a second passes":
                await loop().elapse(1)
            case "the service answers":
                self.answer_all()
            case "the service refuses":
                self.answer_all(REFUSED)
        await settle(4)
        self.events += await waiting_events(self.client)

    def publish(self) -> int:
        self.last_seq += 1
        return self.last_seq

    def send(self, seq: int) -> None:
        self.socket.serve(message(seq))

    async def drop(self) -> None:
        self.socket.drop()
        self.late.clear()
        while not self.server.openings:
            await loop().elapse(1)
        outcome = JOINED | {"type": "connectionRefreshComplete", "lastSeq": self.last_seq}
        self.socket = await answered(self.server, outcome)

    def answer_all(self, refusal: dict[str, Any] | None = None) -> None:
        """Answer all commands, those for captions with a refusal if there is one."""
        frames = [it for it in self.socket.done if isinstance(it, dict)]
        self.socket.done.clear()
        for frame in frames:
            match frame:
                case {"action": "heartbeat"}:
                    self.socket.serve({"type": "heartbeatAck", "sessionId": SESSION})
                case {"action": "getCaptions", "afterSeq": after_seq}:
                    self.socket.serve(refusal or self.answer(after_seq))

    def answer(self, after_seq: int) -> dict[str, Any]:
        assert FIRST <= after_seq <= self.last_seq
        last_seq = min(self.last_seq, after_seq + LARGEST_ANSWER)
        kept = set(range(after_seq + 1, last_seq + 1)) - self.lost_for_good
        missed = last_seq - after_seq - len(kept)
        return answer(sorted(kept), last_seq, missed, more=last_seq < self.last_seq)


@given(steps=st.lists(STEPS, max_size=25))
@settings(max_examples=EXAMPLES, deadline=None)
def test_a_listener_has_every_caption_or_knows_that_it_missed_it(steps: list[str]) -> None:
    async def test() -> None:
        service = CaptionService()
        await service.admit()
        for step in [*steps, "a caption arrives"]:
            await service.take(step)
            numbers = covered(service.events)
            assert numbers == list(range(FIRST + 1, FIRST + 1 + len(numbers)))
        for _ in range(2 * len(steps) + 5):
            await service.take("a second passes")
            await service.take("the service answers")
        assert covered(service.events) == list(range(FIRST + 1, service.last_seq + 1))
        gaps = [event for event in service.events if isinstance(event, Gap)]
        assert set(covered(gaps)) == service.lost_for_good
        await service.client.close()

    run(test())
