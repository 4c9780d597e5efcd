"""The publication of captions: a number, then the posts to listeners beside the storage."""

import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from functools import partial
from typing import Final, NamedTuple, TypeVar

from chalicelib import messages, telemetry
from chalicelib.aws.connections import FanOut, sum_up
from chalicelib.background import Background
from chalicelib.errors import MessageTooLarge, ServiceUnavailable
from chalicelib.models import Caption, Session
from chalicelib.notices import Notices, seconds_for_captions
from chalicelib.store.caption_numbers import NotYet, Numbered
from chalicelib.store.stores import Stores

MAX_CAPTION_BYTES: Final = 32 * 1024
"""The longest message of a caption. Source: docs/reference/protocol.md."""

TURN_SECONDS: Final = 3.0
"""How long a translation waits for those of earlier phrases. Longer would hold up the others."""

TURN_POLL_SECONDS: Final = 0.1

_Turn = TypeVar("_Turn")


class Published(NamedTuple):
    """The result of a publication.

    Attributes:
        seqs: The numbers of the captions.
        reached: The posts that API Gateway accepted.
        gone: The posts to connections that don't exist.
        failed: The other posts.
        listeners: The listeners of the language.
    """

    seqs: Sequence[int]
    reached: int = 0
    gone: int = 0
    failed: int = 0
    listeners: int = 0


class Publishing:
    """Publishes captions. Every method may raise ServiceUnavailable and SessionNotFound.

    A caption that already has a number is not posted again. It is stored if it isn't yet, because
    the event that gave the number may have stopped in between.
    """

    def __init__(
        self,
        stores: Stores,
        notices: Notices,
        clock: Callable[[], float],
        sleep: Callable[[float], None] = time.sleep,
        stopwatch: Callable[[], float] = time.monotonic,
    ) -> None:
        self._numbers = stores.caption_numbers
        self._captions = stores.captions
        self._listeners = stores.listeners
        self._notices = notices
        self._clock = clock
        self._sleep = sleep
        self._stopwatch = stopwatch

    def publish(self, session_id: str, language: str, captions: Sequence[Caption]) -> Published:
        """Publish captions in one language, one after another, to listeners that are listed once.

        Raises:
            MessageTooLarge: A caption is too long. None is published.
        """
        for each in captions:
            check_size(session_id, language, each)
        receivers = self._receivers(session_id, language)
        done = [
            self._deliver(
                self._numbers.give(session_id, language, each.caption_id), language, each, receivers
            )
            for each in captions
        ]
        return Published(
            [seq for each in done for seq in each.seqs],
            sum(each.reached for each in done),
            sum(each.gone for each in done),
            sum(each.failed for each in done),
            max(each.listeners for each in done),
        )

    def publish_translation(
        self, session_id: str, language: str, caption: Caption, order: int | None
    ) -> Published:
        """Publish the translation of a spoken caption, after those of earlier ones.

        Args:
            session_id: The session's ID.
            language: The language of the translation.
            caption: The translation, with the ID of the spoken caption.
            order: The number of the spoken caption; None publishes the translation at once.

        Raises:
            MessageTooLarge: The translation is too long.
        """
        if order is None:
            return self.publish(session_id, language, [caption])
        check_size(session_id, language, caption)
        give = partial(
            self._numbers.give_translated, session_id, language, caption.caption_id, order
        )
        return self.deliver(self._take_turn(give), language, caption)

    def skip_translation(self, session_id: str, language: str, order: int) -> None:
        """Let later phrases go ahead, because the translation of this one has failed."""

        def skip(*, is_late: bool) -> None:
            try:
                self._numbers.skip_translated(session_id, language, order)
            except NotYet:
                if not is_late:
                    raise

        self._take_turn(skip)

    def _take_turn(self, attempt: Callable[..., _Turn]) -> _Turn:
        """Repeat an attempt until earlier phrases are done, or have taken too long.

        Args:
            attempt: Raises NotYet if they aren't done. `is_late` is true for the last attempt.
        """
        ends_at = self._stopwatch() + TURN_SECONDS
        while self._stopwatch() < ends_at:
            try:
                return attempt(is_late=False)
            except NotYet:
                self._sleep(TURN_POLL_SECONDS)
        return attempt(is_late=True)

    def deliver(self, numbered: Numbered, language: str, caption: Caption) -> Published:
        """Store a caption that has its number, and post it unless an earlier event has.

        Posts end a moment after the number was given, so that they can't come after a later
        notice. If they are late, they get more time once. A listener that misses one gets it with
        `getCaptions`.
        """
        receivers = self._receivers(numbered.session.session_id, language)
        return self._deliver(numbered, language, caption, receivers)

    def _receivers(self, session_id: str, language: str) -> "_Receivers":
        return _Receivers(lambda: self._listeners.list_ids(session_id, language))

    def _deliver(
        self, numbered: Numbered, language: str, caption: Caption, receivers: "_Receivers"
    ) -> Published:
        session_id, seq = numbered.session.session_id, numbered.seq
        storing = Background(lambda: self._captions.put(session_id, language, seq, caption))
        try:
            if not numbered.is_new:
                return Published([seq])
            return self._post(numbered, language, caption, receivers)
        finally:
            if (error := storing.finish()) is not None:
                telemetry.log_warning(
                    "caption not kept",
                    sessionId=session_id,
                    language=language,
                    seq=seq,
                    cause=type(error).__name__,
                )

    def _post(
        self, numbered: Numbered, language: str, caption: Caption, receivers: "_Receivers"
    ) -> Published:
        began_at = self._stopwatch()
        session, seq = numbered.session, numbered.seq
        listener_ids = receivers.list()
        text = self._notices.encode(messages.caption(session.session_id, language, seq, caption))
        result = self._fan_out(session, listener_ids, text)
        if result.unreached and seconds_for_captions(session, self._clock()) <= 0:
            result = self._fan_out_late(session, result, text)
        receivers.remove(result.gone)
        self._notices.remove_gone(session.session_id, result.gone)
        telemetry.put_metrics(
            CaptionsPublished=1,
            CaptionsDelivered=result.reached,
            CaptionLatency=(self._stopwatch() - began_at) * 1000,
        )
        telemetry.log_done(
            "caption published",
            sessionId=session.session_id,
            caption=telemetry.hash_of(caption.caption_id),
            language=language,
            seq=seq,
            reached=result.reached,
        )
        return Published([seq], result.reached, len(result.gone), result.failed, len(listener_ids))

    def _fan_out(self, session: Session, listener_ids: Collection[str], text: str) -> FanOut:
        left_seconds = max(seconds_for_captions(session, self._clock()), 0)
        return self._notices.fan_out(session.session_id, listener_ids, text, left_seconds)

    def _fan_out_late(self, session: Session, late: FanOut, text: str) -> FanOut:
        """Post a caption again to those whom it hasn't reached in its time.

        They learn of a missing caption from the next one only. If the function is busy, that is
        late, too.
        """
        try:
            extended = self._numbers.extend_posts(session)
        except ServiceUnavailable:
            return late
        if extended is None:
            return late
        again = self._fan_out(extended, late.unreached, text)
        is_known = replace(late, failed=late.failed - len(late.unreached), unreached=frozenset())
        return sum_up([is_known, again])


class _Receivers:
    """The listeners of a language, which are listed when the first caption is posted."""

    def __init__(self, list_ids: Callable[[], Collection[str]]) -> None:
        self._list_ids = list_ids
        self._ids: frozenset[str] | None = None

    def list(self) -> frozenset[str]:
        if self._ids is None:
            self._ids = frozenset(self._list_ids())
        return self._ids

    def remove(self, connection_ids: Collection[str]) -> None:
        self._ids = self.list().difference(connection_ids)


def check_size(session_id: str, language: str, caption: Caption) -> None:
    """Check that a caption fits into a message.

    Raises:
        MessageTooLarge: It doesn't.
    """
    longest = messages.caption(session_id, language, 10**6, caption)
    if len(messages.encode(longest, 10**12).encode()) > MAX_CAPTION_BYTES:
        raise MessageTooLarge(f"A caption may have {MAX_CAPTION_BYTES} bytes at most.")
