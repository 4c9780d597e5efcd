"""A listener on the local server, which joins a session by its ID or its link.

In the root of the repository, while `make local` and a speaker run:

    .venv/bin/python examples/python-client/listener.py golden-eagle-427 es

Press Ctrl-C to leave.
"""

import argparse
import asyncio
import os

from broadcast_sessions_client import (
    Caption,
    Gap,
    Invitation,
    Listener,
    SessionError,
    StateChanged,
    read_invite_link,
)

URL = f"ws://127.0.0.1:{os.environ.get('PORT', 8000)}/local"


async def listen(invitation: Invitation, language: str) -> None:
    """Join a session, and print what happens until it ends."""
    async with Listener(
        URL, session=invitation.session, language=language, invite=invitation.invite
    ) as listener:
        async for event in listener:
            match event:
                case Caption(text=text):
                    print(text)
                case Gap(count=count):
                    print(f"{count} captions missed")
                case StateChanged(state="joined"):
                    hears, spoken = listener.language, listener.source_language
                    print(f"you hear {hears} in {listener.session}, spoken in {spoken}")
                case StateChanged(state=state, reason=reason, retry_in_seconds=seconds):
                    wait = f", next attempt in {seconds:.1f} s" if seconds else ""
                    print(f"{state} ({reason}){wait}" if reason else state)


parser = argparse.ArgumentParser(description="Listen to a session on the local server.")
parser.add_argument("session", help="the session's ID, or the link that the speaker printed")
parser.add_argument("language", nargs="?", default="es", help="a language tag, such as es-AR")
options = parser.parse_args()
invitation = read_invite_link(options.session) or Invitation(options.session, None)
try:
    asyncio.run(listen(invitation, options.language))
except (SessionError, ValueError) as error:
    raise SystemExit(str(error)) from None
except KeyboardInterrupt:
    pass
