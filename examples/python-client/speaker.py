"""A speaker. It creates a session on the local server, and ends it when you press Ctrl-C.

In the root of the repository, while `make local` runs:

    .venv/bin/python examples/python-client/speaker.py
"""

import asyncio
import os
import subprocess

from broadcast_sessions_client import (
    AudienceChanged,
    SessionError,
    Speaker,
    StateChanged,
    invite_link,
)

URL = f"ws://127.0.0.1:{os.environ.get('PORT', 8000)}/local"
PAGE = "https://listen.example.org/"


def fetch_token() -> str:
    """Return a new token. The speaker calls this in a thread, for each connection."""
    return subprocess.check_output(["make", "-s", "token"], text=True).strip()  # noqa: S607


async def speak() -> None:
    """Create a session, and print what happens in it."""
    async with Speaker(URL, token=fetch_token) as speaker:
        session = await speaker.create("en")
        link = invite_link(PAGE, session.id, session.invite_code)
        print(
            f"Listeners join with:\n  .venv/bin/python examples/python-client/listener.py '{link}'"
        )
        try:
            async for event in speaker:
                match event:
                    case StateChanged(state=state, reason=None):
                        print(state)
                    case StateChanged(state=state, reason=reason):
                        print(f"{state} ({reason})")
                    case AudienceChanged(listener_count=count, languages=languages):
                        print(f"{count} listeners: {dict(languages)}")
        except asyncio.CancelledError:
            await speaker.end()
            print("The session is over")


try:
    asyncio.run(speak())
except SessionError as error:
    raise SystemExit(str(error)) from None
except KeyboardInterrupt:
    pass
