"""The order of the captions of one language."""

from collections.abc import Iterable, Iterator
from typing import Final

from broadcast_sessions_client.events import Caption, Gap

CAPACITY: Final = 200
"""The captions that wait for a missing one. The service keeps as many of a language."""


class Captions:
    """Puts the captions of one language in order, each once.

    The captions and gaps that the methods return cover every number after the first `last_seq`.

    Attributes:
        language: The language's code.
        last_seq: The number of the last caption that was returned or is known to be missed.
    """

    def __init__(self, language: str, last_seq: int) -> None:
        self.language = language
        self.last_seq = last_seq
        self._known_seq = last_seq
        self._waiting: dict[int, Caption] = {}

    @property
    def is_behind(self) -> bool:
        """Whether a caption is missing that is known to exist."""
        return self.last_seq < self._known_seq

    def expect(self, seq: int) -> None:
        """Learn that the captions up to a number exist."""
        self._known_seq = max(self._known_seq, seq)

    def add(self, caption: Caption) -> list[Caption]:
        """Take a caption that has arrived.

        When more than `CAPACITY` captions wait, those with the highest numbers are dropped. They
        are missing from then on.

        Returns:
            The captions whose turn has come.
        """
        self._keep(caption)
        following = list(self._take_following())
        while len(self._waiting) > CAPACITY:
            del self._waiting[max(self._waiting)]
        return following

    def add_missing(self, captions: Iterable[Caption], last_seq: int) -> list[Caption | Gap]:
        """Take captions that were missing.

        Args:
            captions: All captions up to `last_seq` that can still be had. Others are missed.
            last_seq: A number.

        Returns:
            The captions whose turn has come, and the gaps between them.
        """
        for caption in captions:
            if caption.seq <= last_seq:
                self._keep(caption)
        in_order: list[Caption | Gap] = []
        for seq in sorted(it for it in self._waiting if it <= last_seq):
            in_order += self._pass_over(seq - 1)
            in_order += self._take_following()
        in_order += self._pass_over(last_seq)
        in_order += self._take_following()
        return in_order

    def _keep(self, caption: Caption) -> None:
        """Let a caption wait for its turn, unless its turn is over."""
        if caption.language == self.language and caption.seq > self.last_seq:
            self.expect(caption.seq)
            self._waiting[caption.seq] = caption

    def _take_following(self) -> Iterator[Caption]:
        while following := self._waiting.pop(self.last_seq + 1, None):
            self.last_seq = following.seq
            yield following

    def _pass_over(self, seq: int) -> Iterator[Gap]:
        """Count the captions up to a number as missed."""
        count = seq - self.last_seq
        if count > 0:
            yield Gap(self.language, self.last_seq, count)
            self.last_seq = seq
