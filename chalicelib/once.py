"""A cache for the objects that a process builds once."""

import threading
from collections.abc import Callable
from functools import cache, wraps
from typing import TypeVar

_Built = TypeVar("_Built")
_lock = threading.RLock()


def once(build: Callable[..., _Built]) -> Callable[..., _Built]:
    """Build an object once, even if several threads of the local server request it at once."""
    cached = cache(build)

    @wraps(build)
    def build_once(*arguments: str | int) -> _Built:
        with _lock:
            return cached(*arguments)

    return build_once
