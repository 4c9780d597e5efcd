"""Listeners of the Python client in a process of its own, which wait for messages.

`python -m benchmarks.idle_listeners COUNT URL SESSION INVITE` prints `ready: URL` when all have
joined.
"""

import asyncio
import sys
from contextlib import AsyncExitStack

from broadcast_sessions_client import Listener

AT_ONCE = 50


async def main(count: int, url: str, session: str, invite: str) -> None:
    """Join, and stay until the process ends."""
    async with AsyncExitStack() as stack:
        for _ in range(0, count, AT_ONCE):
            listeners = [
                Listener(url, session=session, language="es", invite=invite) for _ in range(AT_ONCE)
            ]
            await asyncio.gather(*map(stack.enter_async_context, listeners))
        print(f"ready: {url}", flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), *sys.argv[2:]))
