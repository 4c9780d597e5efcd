"""A speaker on the local server. Press Ctrl-C to end its session.

While `make local` runs: `.venv/bin/python examples/python-client/speaker.py en`
"""

import asyncio
import os
import subprocess
import sys

from broadcast_sessions_client import (
    AudienceChanged,
    SessionError,
    Speaker,
    StateChanged,
    invite_link,
)

URL = f"ws://127.0.0.1:{os.environ.get('PORT', 8000)}/local"


def fetch_token() -> str:
    """Return a new token. The speaker calls this in a thread, whenever it connects."""
    made = subprocess.run(["make", "-s", "token"], capture_output=True, text=True, check=False)  # noqa: S607
    if made.returncode:
        raise SessionError("TOKEN_FAILED", made.stderr.strip())
    return made.stdout.strip()


async def speak(language: str) -> None:
    """Create a session, and print what happens in it. Ctrl-C cancels this task."""
    async with Speaker(URL, token=fetch_token) as speaker:
        session = await speaker.create(language)
        print(f"session: {session.id}")
        print(f"link: {invite_link('https://listen.example.org/', session)}")
        try:
            await show_events(speaker)
        except asyncio.CancelledError:
            await speaker.end()
            await show_events(speaker)


async def show_events(speaker: Speaker) -> None:
    """Print events until the session ends."""
    async for event in speaker:
        match event:
            case StateChanged(state=state, reason=reason, retry_in_seconds=seconds):
                wait = f", next attempt in {seconds:.1f} s" if seconds else ""
                print(f"{state} ({reason}){wait}" if reason else state)
            case AudienceChanged(listener_count=count, languages=languages):
                print(f"listeners: {count} {dict(languages)}")


try:
    asyncio.run(speak(*sys.argv[1:2] or ["en"]))
except SessionError as error:
    raise SystemExit(str(error)) from None
except KeyboardInterrupt:
    pass
