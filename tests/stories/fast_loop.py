"""An event loop whose clock runs faster than real time, as the local server's can."""

import asyncio
import selectors


class FastSelector(selectors.DefaultSelector):
    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        return super().select(timeout and timeout / self.rate)


class FastLoop(asyncio.SelectorEventLoop):
    def __init__(self, rate: float) -> None:
        self.rate = rate
        super().__init__(FastSelector(rate))

    def time(self) -> float:
        return super().time() * self.rate
