"""A listener. It joins a session on the local server by its link or its ID, and stays to the end.

In the root of the repository, while `make local` and a speaker run:

    .venv/bin/python examples/python-client/listener.py 'golden eagle 427' es
"""

import argparse
import asyncio
import os

from broadcast_sessions_client import (
    Invitation,
    Listener,
    SessionEnded,
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
        print(f"Listening to {listener.session} in {listener.language}. Press Ctrl-C to leave.")
        async for event in listener:
            match event:
                case SessionEnded(reason=reason):
                    print(f"The session is over ({reason})")
                case StateChanged(state="reconnecting", reason=reason, retry_in_seconds=seconds):
                    print(f"No connection ({reason}), trying again in {seconds:.1f} s")
                case StateChanged(state=state):
                    print(state)


parser = argparse.ArgumentParser(description="Listen to a session on the local server.")
parser.add_argument("session", help="the session's ID, or the link that the speaker printed")
parser.add_argument("language", nargs="?", default="es", help="a language tag, such as es-AR")
options = parser.parse_args()
invitation = read_invite_link(options.session) or Invitation(options.session, None)
try:
    asyncio.run(listen(invitation, options.language))
except SessionError as error:
    raise SystemExit(str(error)) from None
except KeyboardInterrupt:
    pass
