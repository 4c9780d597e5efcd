"""The numbers of captions, which a session's item gives without gaps in each language."""

from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from typing import Any, Final, NamedTuple, TypeVar

from chalicelib.aws.dynamodb import ConditionFailed, Item
from chalicelib.errors import NoSession, RateLimitExceeded, ServiceUnavailable, SessionNotFound
from chalicelib.models import SOURCE, Session
from chalicelib.store.items import LAST_NUMBER, TRANSLATED, number, parse_session
from chalicelib.store.number_updates import GIVEN, REPEATED, SPOKEN, NumberUpdate
from chalicelib.store.open_sessions import IS_OPEN, NAMES, open_values
from chalicelib.store.table import Table

KEPT_IDS: Final = 20
"""How many caption IDs of a language are remembered."""

POSTS_MS: Final = 300
"""How long after its number a caption may be posted, plus a millisecond for each listener.

Posts to 500 listeners take about 150 ms on open connections; see benchmarks/captions.py.
"""

LATE_POSTS_MS: Final = 2000
"""How long posts last that are late, for example because their function has a busy processor.

A later notice waits for as long at most; see notices.MAX_POSTS_SECONDS.
"""

GIVEN_AT_STEP_MS: Final = 50
"""The unit of `captionAt`, the time at which the last number was given.

This time never goes back, because the notice of an end waits for the posts of the last caption. A
write that comes after one with a later time fails, and is repeated with that time. A unit that is
longer than most writes makes this rare if several languages are published side by side.
"""

MOST_OBSOLETE: Final = 40
"""More obsolete attributes than this are removed by a write of their own."""

REMOVED_AT_ONCE: Final = 200
"""The largest number of attributes that one write removes, because an expression has at most 4 KB.

Source: "Constraints in Amazon DynamoDB", Amazon DynamoDB Developer Guide.
"""

REMEMBERED_SESSIONS: Final = 64
"""How many sessions' obsolete attributes a process remembers."""

BEGINNING_SECONDS: Final = 50
"""How long a process remembers for which languages a caption may be the first.

It is less than the time after which a language is idle.
"""

_SECONDS_PER_MINUTE: Final = 60

_Remembered = TypeVar("_Remembered")


class _Beginning(NamedTuple):
    """Languages whose translations begin after a spoken caption with a number, until a time."""

    languages: Sequence[str]
    before: int
    ends_at_seconds: float


class Numbered(NamedTuple):
    """A caption's number.

    Attributes:
        seq: The number.
        session: The session after the write.
        is_new: Whether this call gave the number. If not, an earlier one did.
    """

    seq: int
    session: Session
    is_new: bool


class Speaking(NamedTuple):
    """The conditions of a caption by a session's speaker.

    Attributes:
        connection_id: The connection that must be the speaker's.
        most_a_minute: The limit of the speaker's captions.
    """

    connection_id: str
    most_a_minute: int


class NotYet(Exception):
    """The translation of an earlier phrase into the same language hasn't been published."""


class CaptionNumberStore:
    """Gives captions their numbers.

    One conditional write gives a number and stores it under the caption's ID, so a repeated write,
    and a repeated caption, finds the number that it has. The write fails once the session has
    ended. Other events remove obsolete attributes: the next number write of a process that has seen
    them, or, if there are too many, a write of its own.
    """

    def __init__(self, table: Table, clock: Callable[[], float]) -> None:
        self._table = table
        self._clock = clock
        self._obsolete: dict[str, tuple[str, ...]] = {}
        self._beginnings: dict[str, _Beginning] = {}

    def give_spoken(self, session_id: str, caption_id: str, speaking: Speaking) -> Numbered:
        """Give a number to a caption in the source language by the session's speaker.

        The speaker may repeat as many captions as it may send, because the pipeline gets them, too.

        Raises:
            SessionNotFound: The session is not open.
            NoSession: Another connection is the speaker.
            RateLimitExceeded: The speaker sends or repeats too many captions.
        """
        minute = int(self._clock()) // _SECONDS_PER_MINUTE
        update = NumberUpdate(SOURCE, caption_id)
        update.by_speaker(speaking.connection_id, minute, speaking.most_a_minute)
        beginning = self._beginnings.pop(session_id, None)
        if beginning is not None and self._clock() < beginning.ends_at_seconds:
            update.begin_translations(beginning.languages, beginning.before)
        try:
            numbered = self._give(session_id, update)
        except ConditionFailed as error:
            session = self._get_open(error.item)
            if session.speaker_connection_id != speaking.connection_id:
                raise NoSession from None
            raise self._exceeded() from None
        if numbered.is_new:
            self._order_translations(numbered)
        else:
            self._count_repeated(session_id, f"{REPEATED}{minute}", speaking.most_a_minute)
        return numbered

    def _order_translations(self, numbered: Numbered) -> None:
        """Remember the languages for which this caption may be the first, for the next write.

        That write, which usually comes from the same process, lets the translations of its caption
        wait for those of this one. It does so only while no language can have become idle.
        """
        session, before = numbered.session, numbered.seq - 1
        new = [it for it in session.demanded_languages if it not in session.translated_numbers]
        if new:
            beginning = _Beginning(new, before, self._clock() + BEGINNING_SECONDS)
            _remember(self._beginnings, session.session_id, beginning)

    def _count_repeated(self, session_id: str, counter: str, most_a_minute: int) -> None:
        try:
            self._table.update(
                session_id,
                "SET #repeated = if_not_exists(#repeated, :zero) + :one",
                condition="attribute_exists(sessionId)"
                " AND (attribute_not_exists(#repeated) OR #repeated < :most_repeated)",
                names={"#repeated": counter},
                values={
                    ":zero": number(0),
                    ":one": number(1),
                    ":most_repeated": number(most_a_minute),
                },
            )
        except ConditionFailed as error:
            self._get_open(error.item)
            raise self._exceeded() from None

    def _exceeded(self) -> RateLimitExceeded:
        return RateLimitExceeded(_SECONDS_PER_MINUTE - self._clock() % _SECONDS_PER_MINUTE)

    def give(self, session_id: str, language: str, caption_id: str) -> Numbered:
        """Give a number to a caption in a language.

        Raises:
            SessionNotFound: The session is not open.
        """
        update = NumberUpdate(language, caption_id)
        update.conditions.append("sourceLanguage <> :language")
        update.values[":language"] = {"S": language}
        try:
            return self._give(session_id, update)
        except ConditionFailed as error:
            self._get_open(error.item)
        return self._give_if_open(session_id, NumberUpdate(SOURCE, caption_id))

    def give_translated(
        self, session_id: str, language: str, caption_id: str, order: int, *, is_late: bool = False
    ) -> Numbered:
        """Give a number to the translation of a spoken caption, after that of the one before it.

        Args:
            session_id: The session's ID.
            language: The language of the translation, which isn't the source language.
            caption_id: The ID of the spoken caption.
            order: The number of the spoken caption.
            is_late: Whether to skip those before it that are missing.

        Raises:
            SessionNotFound: The session is not open.
            NotYet: One before it hasn't been published.
        """
        update = NumberUpdate(language, caption_id)
        update.in_order(language, order, is_late=is_late)
        try:
            return self._give(session_id, update)
        except ConditionFailed as error:
            self._get_open(error.item)
            if _last_translated(error.item, language) < order:
                raise NotYet from None
        # A later phrase didn't wait for this one.
        return self._give_if_open(session_id, NumberUpdate(language, caption_id))

    def skip_translated(self, session_id: str, language: str, order: int) -> None:
        """Note that the translation of a spoken caption has failed; see `give_translated`.

        Nothing is noted if it or a later one has a number, or if the session doesn't exist.

        Raises:
            NotYet: One before it hasn't been published.
        """
        try:
            self._table.update(
                session_id,
                "SET #translated = :order",
                condition="attribute_exists(sessionId)"
                " AND (attribute_not_exists(#translated) OR #translated = :before)",
                values={":order": number(order), ":before": number(order - 1)},
                names={"#translated": TRANSLATED + language},
            )
        except ConditionFailed as error:
            if error.item and _last_translated(error.item, language) < order:
                raise NotYet from None

    def extend_posts(self, session: Session) -> Session | None:
        """Give the posts of a late caption more time, for which a later notice waits.

        Args:
            session: The session when the caption got its number.

        Returns:
            The session with this time, or with a longer one. None if the session isn't open, or if
            its status has changed since.
        """
        until = number(int(self._clock() * 1000) + LATE_POSTS_MS)
        try:
            item = self._table.update(
                session.session_id,
                "SET latePostsUntil = :until",
                condition=f"{IS_OPEN} AND #status = :status"
                " AND (attribute_not_exists(latePostsUntil) OR latePostsUntil < :until)",
                names=NAMES,
                values={
                    ":until": until,
                    ":status": {"S": session.status},
                    **open_values(self._clock()),
                },
                returning="ALL_NEW",
            )
        except ConditionFailed as error:
            item = error.item
        extended = parse_session(item) if item else None
        if extended is None or not extended.is_open(self._clock()):
            return None
        return extended if extended.status is session.status else None

    def _get_open(self, item: Item) -> Session:
        session = parse_session(item) if item else None
        if session is None or not session.is_open(self._clock()):
            raise SessionNotFound
        return session

    def _give_if_open(self, session_id: str, update: NumberUpdate) -> Numbered:
        """Give a number that depends on nothing but an open session.

        Raises:
            SessionNotFound: The session is not open.
        """
        try:
            return self._give(session_id, update)
        except ConditionFailed as error:
            self._get_open(error.item)
            raise

    def _give(self, session_id: str, update: NumberUpdate) -> Numbered:
        """Give a number at a time that isn't earlier than that of the last number.

        Raises:
            ConditionFailed: Another condition failed, and the caption has no number yet.
        """
        now_ms = int(self._clock() * 1000)
        given_at_ms = now_ms - now_ms % GIVEN_AT_STEP_MS
        while True:
            try:
                item = self._write(session_id, update, given_at_ms)
            except ConditionFailed as error:
                if (given := _find_given(error.item, update.given)) is not None:
                    session = self._get_open(error.item)
                    return Numbered(given, session, is_new=update.has_given(error.item))
                last_given_at_ms = int(error.item.get("captionAt", number(0))["N"])
                if last_given_at_ms <= given_at_ms:
                    raise
                given_at_ms = last_given_at_ms
            else:
                self._remember_obsolete(session_id, item)
                return Numbered(int(item[update.given]["N"]), parse_session(item), is_new=True)

    def _write(self, session_id: str, update: NumberUpdate, given_at_ms: int) -> Item:
        written = update.names.values()
        obsolete = [each for each in self._obsolete.pop(session_id, ()) if each not in written]
        return self._table.update(
            session_id,
            f"SET {', '.join(update.sets)}{_removal(obsolete)}",
            condition=" AND ".join([IS_OPEN, *update.conditions]),
            names={**NAMES, **update.names, **_placeholders(obsolete)},
            values={
                ":one": number(1),
                ":zero": number(0),
                ":given_at": number(given_at_ms),
                ":until": number(given_at_ms + POSTS_MS),
                **update.values,
                **open_values(self._clock()),
            },
            returning="ALL_NEW",
        )

    def _remember_obsolete(self, session_id: str, item: Item) -> None:
        """Remember obsolete attributes for the next write, or remove them if there are many.

        A failure of the removal is left to the next write, because the caption has its number.
        """
        names = tuple(_list_obsolete(item, int(self._clock()) // _SECONDS_PER_MINUTE))
        if len(names) > MOST_OBSOLETE:
            with suppress(ServiceUnavailable):
                self._table.try_update(
                    session_id,
                    _removal(names[:REMOVED_AT_ONCE]).lstrip(),
                    "attribute_exists(sessionId)",
                    names=_placeholders(names[:REMOVED_AT_ONCE]),
                )
        elif names:
            _remember(self._obsolete, session_id, names)


def _remember(memory: dict[str, _Remembered], session_id: str, value: _Remembered) -> None:
    """Remember something about a session, and forget all others if there are too many."""
    if len(memory) >= REMEMBERED_SESSIONS:
        memory.clear()
    memory[session_id] = value


def _find_given(item: Item, name: str) -> int | None:
    return int(item[name]["N"]) if name in item else None


def _last_translated(item: Item, language: str) -> int:
    return int(item.get(TRANSLATED + language, number(0))["N"])


def _list_obsolete(item: Item, minute: int) -> list[str]:
    """List the attributes of caption IDs and minutes that no longer matter."""
    obsolete = []
    for name, value in item.items():
        if name.startswith(GIVEN):
            key = name.split(":")[1]
            if int(value["N"]) <= int(item[LAST_NUMBER + key]["N"]) - KEPT_IDS:
                obsolete.append(name)
        elif name.startswith((SPOKEN, REPEATED)) and int(name.partition(":")[2]) < minute:
            obsolete.append(name)
    return obsolete


def _removal(names: Collection[str]) -> str:
    return f" REMOVE {', '.join(_placeholders(names))}" if names else ""


def _placeholders(names: Collection[str]) -> dict[str, Any]:
    return {f"#obsolete{key}": name for key, name in enumerate(names)}
