"""Noticing that another client has the seat or the session."""

import asyncio
from collections import deque
from typing import Final

LOSSES: Final = 3
WITHIN_SECONDS: Final = 600
"""So many losses of the membership within this time mean a replacement."""


class Replacement:
    """The latest losses of the membership."""

    def __init__(self) -> None:
        self._lost_at: deque[float] = deque(maxlen=LOSSES)

    def count(self) -> bool:
        """Count a loss, and return whether another client has taken this one's place."""
        self._lost_at.append(asyncio.get_running_loop().time())
        latest, oldest = self._lost_at[-1], self._lost_at[0]
        return len(self._lost_at) == LOSSES and latest - oldest < WITHIN_SECONDS

    def reset(self) -> None:
        """Forget the losses."""
        self._lost_at.clear()
