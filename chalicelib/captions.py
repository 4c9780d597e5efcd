"""The commands with which a speaker sends captions and a listener gets those it has missed."""

import secrets
from collections.abc import Callable
from typing import Final

from chalicelib import messages, telemetry
from chalicelib.commands import GetCaptions, SendCaption
from chalicelib.errors import NoSession
from chalicelib.membership import Membership
from chalicelib.messages import Reply
from chalicelib.models import Caller, Caption, Role, Session
from chalicelib.pipeline import Pipeline
from chalicelib.publishing import Publishing
from chalicelib.recovery import SETTLED_SECONDS, Account, account_for, first_kept
from chalicelib.store.caption_numbers import Speaking
from chalicelib.store.captions import StoredCaption
from chalicelib.store.stores import Stores

MAX_ITEMS_BYTES: Final = 31 * 1024
"""The most bytes of captions in an answer, which has 32 KB with a request ID of the longest kind.

A single caption can be larger. Its answer then has up to 33 KB, of 128 KB that API Gateway sends.
"""

CAPTION_ID_BYTES: Final = 12
"""Random bytes of the ID of a caption that its speaker has given none."""


class Captions:
    """Carries out the commands about captions. Every method may raise ServiceUnavailable."""

    def __init__(
        self,
        stores: Stores,
        membership: Membership,
        publishing: Publishing,
        pipeline: Pipeline,
        most_a_minute: int,
        clock: Callable[[], float],
    ) -> None:
        self._sessions = stores.sessions
        self._captions = stores.captions
        self._numbers = stores.caption_numbers
        self._membership = membership
        self._publishing = publishing
        self._pipeline = pipeline
        self._most_a_minute = most_a_minute
        self._clock = clock

    def send(self, caller: Caller, command: SendCaption) -> Reply:
        """Publish a phrase in the speaker's words, and hand it to the pipeline.

        Raises:
            Unauthorized: The caller has no token.
            Forbidden: The caller is a listener, or in another session.
            NoSession: The caller is no participant, or has been superseded.
            RateLimitExceeded: The speaker sends too many captions.
        """
        speaker = self._membership.get_own(caller, Role.SPEAKER, command.session_id)
        caption = Caption(
            command.caption_id or secrets.token_urlsafe(CAPTION_ID_BYTES),
            command.text,
            int(self._clock() * 1000),
        )
        telemetry.follow_caption(caption.caption_id)
        speaking = Speaking(caller.connection_id, self._most_a_minute)
        numbered = self._numbers.give_spoken(speaker.session_id, caption.caption_id, speaking)
        session = numbered.session
        self._membership.reset_refused_commands(speaker)
        # A repeated command may come from a client whose first event stopped here. The posts don't
        # wait for the pipeline, because they have little time.
        with self._pipeline.notifying(
            "captionSpoken",
            session.session_id,
            language=session.source_language,
            captionId=caption.caption_id,
            text=caption.text,
            startedAt=caption.started_at_ms,
            languages=session.demanded_languages,
            seq=numbered.seq,
        ):
            self._publishing.deliver(numbered, session.source_language, caption)
        return Reply(
            messages.caption_accepted(session.session_id, caption.caption_id, numbered.seq)
        )

    def get(self, caller: Caller, command: GetCaptions) -> Reply:
        """Return the captions that are kept of those that a listener has missed.

        Raises:
            Forbidden: The caller is a speaker, or in another session.
            NoSession: The caller is no participant, or the session has ended.
        """
        listener = self._membership.get_own(caller, Role.LISTENER, command.session_id)
        session = self._sessions.find_open(listener.session_id)
        if session is None:
            raise NoSession
        self._membership.reset_refused_commands(listener)
        language = listener.target_language or ""
        account = self._account(session, language, command.after_seq)
        if account.missed:
            telemetry.put_metrics(CaptionsMissed=account.missed)
        items = [
            messages.caption(session.session_id, language, each.seq, each.caption)
            for each in account.items
        ]
        return Reply(
            messages.captions(
                language,
                items,
                account.last_seq,
                account.missed,
                has_more=account.has_more,
            )
        )

    def _account(self, session: Session, language: str, after_seq: int) -> Account:
        now_ms = int(self._clock() * 1000)
        kept_seconds = self._captions.kept_seconds
        last_seq = session.last_seq(language)
        if after_seq > last_seq:
            return Account([], last_seq, 0, has_more=False)
        floor = first_kept(after_seq, last_seq)
        stored = (
            self._captions.list_after(session.session_id, language, floor)
            if kept_seconds and floor < last_seq
            else ()
        )

        def size(each: StoredCaption) -> int:
            item = messages.caption(session.session_id, language, each.seq, each.caption)
            return len(messages.encode(item, now_ms))

        return account_for(
            stored,
            after_seq,
            last_seq,
            # An earlier session may have had the same ID.
            kept_since_ms=max(now_ms - kept_seconds * 1000, session.created_at_ms),
            settled_before_ms=now_ms - SETTLED_SECONDS * 1000,
            # The posts end soon after the number was given. If no captions are kept, none is on its
            # way to the table.
            last_given_at_ms=session.captions_until_ms if kept_seconds else 0,
            size=size,
            max_size=MAX_ITEMS_BYTES,
        )
