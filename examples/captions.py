"""Shows what listeners of three languages receive of the lines that you type as the speaker.

Start `make local` first, in another terminal. Then, in the root of the repository:

    .venv/bin/python -m examples.captions

If you have set PORT for `make local`, set it here, too. The captions of a line can arrive while
you type the next one. The end of the input (Ctrl-D) ends the session.
"""

import asyncio
import os
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, suppress
from typing import Final

from broadcast_sessions_client import (
    Caption,
    Gap,
    Listener,
    SessionError,
    Speaker,
    StateChanged,
)
from local_gateway import arguments
from local_gateway.command import run_command
from local_gateway.output_pipes import is_reader_gone
from local_gateway.user_token import NoToken, token

LANGUAGES: Final = {"en": "English", "es": "Spanish", "uk": "Ukrainian"}
"""The language of each listener. Ukrainian has no neural voice."""

CAPTION_SECONDS: Final = 20
"""How long the example waits, at the end of the input, for captions that are on their way."""


class NoCaption(Exception):
    """A listener didn't receive a caption. The server's log says why."""


class Progress:
    """Counts the captions that each listener has, or has missed."""

    def __init__(self) -> None:
        """Begin without captions."""
        self._seqs = dict.fromkeys(LANGUAGES, 0)
        self._changed = asyncio.Condition()

    async def reach(self, language: str, seq: int) -> None:
        """Note the number of the last caption in a language."""
        async with self._changed:
            self._seqs[language] = seq
            self._changed.notify_all()

    async def wait_for(self, seq: int) -> None:
        """Wait until each listener has the caption with a number.

        Raises:
            NoCaption: One doesn't have it within CAPTION_SECONDS.
        """
        try:
            async with asyncio.timeout(CAPTION_SECONDS), self._changed:
                await self._changed.wait_for(lambda: min(self._seqs.values()) >= seq)
        except TimeoutError:
            raise NoCaption(f"a caption didn't arrive within {CAPTION_SECONDS} s") from None


async def show(language: str, listener: Listener, progress: Progress) -> None:
    """Print what a listener receives, until its session ends."""
    name = LANGUAGES[language]
    async for event in listener:
        match event:
            case Caption(seq=seq, text=text, audio=audio):
                heard = f"  {audio.url}" if audio and audio.url else ""
                print(f"{name:>10} {seq:3}  {text}{heard}", flush=True)
                await progress.reach(language, seq)
            case Gap(after_seq=after, count=count):
                print(f"{name:>10}      {count} missed", flush=True)
                await progress.reach(language, after + count)
            case StateChanged(state="ended", reason=reason):
                print(f"{name:>10}      ended ({reason})", flush=True)


async def read_lines() -> AsyncIterator[str]:
    """Read the lines of standard input that aren't blank."""
    loop, lines = asyncio.get_running_loop(), asyncio.Queue[str]()

    def read() -> None:
        # A file of its own: the process can't end while a thread waits for a line of sys.stdin.
        with suppress(RuntimeError):  # The loop is closed, because the example has ended.
            with suppress(OSError), open(0, errors="replace", closefd=False) as file:
                for line in file:
                    loop.call_soon_threadsafe(lines.put_nowait, line)
            loop.call_soon_threadsafe(lines.put_nowait, "")

    threading.Thread(target=read, daemon=True).start()
    while line := await lines.get():
        if phrase := line.strip():
            yield phrase


async def publish(phrase: str, speaker: Speaker) -> int | None:
    """Publish a phrase; return its number, or None if the service refuses its text."""
    try:
        return (await speaker.send_caption(phrase)).seq
    except SessionError as error:
        if error.code != "INVALID_PARAMETERS":
            raise
        print(f"not published: {error.message}", file=sys.stderr)
        return None


def fetch_token(port: int) -> str:
    """Return a token of the local server. The speaker calls this whenever it connects.

    Raises:
        SessionError: No local server is running on the port.
    """
    try:
        return token(port, "speaker@example.com")
    except NoToken as error:
        raise SessionError("TOKEN_FAILED", str(error)) from None


async def play(port: int) -> None:
    """Publish each line of standard input as a caption, and show what the listeners receive.

    Raises:
        SessionError: The service refused a command, or isn't running on the port.
        NoCaption: A caption didn't arrive.
    """
    url = f"ws://127.0.0.1:{port}/local"
    progress = Progress()
    async with AsyncExitStack() as stage, asyncio.TaskGroup() as tasks:
        speaker = Speaker(url, token=lambda: fetch_token(port))
        await stage.enter_async_context(speaker)
        session = await speaker.create("en")
        for language in LANGUAGES:
            listener = Listener(
                url, session=session.id, language=language, invite=session.invite_code
            )
            await stage.enter_async_context(listener)
            tasks.create_task(show(language, listener, progress))
        print(f"{session.id}: type what you say, and Ctrl-D at the end.", flush=True)
        seq = 0
        async for phrase in read_lines():
            seq = await publish(phrase, speaker) or seq
        await progress.wait_for(seq)
        await speaker.end()


def main() -> int:
    """Run the example; return the exit code."""
    parser = arguments.Parser(prog="python -m examples.captions", description=__doc__)
    parser.add_argument("--port", type=arguments.port, default=os.environ.get("PORT", "8000"))
    options = parser.parse_args()
    try:
        asyncio.run(play(options.port))
    except ExceptionGroup as group:
        return _fail(group.exceptions[0])
    except (NoCaption, SessionError) as error:
        return _fail(error)
    except KeyboardInterrupt:
        return 130
    return 0


def _fail(error: Exception) -> int:
    if not is_reader_gone():
        print(f"the example can't continue: {error}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    run_command(main)
