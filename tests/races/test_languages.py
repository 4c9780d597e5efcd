"""Listeners who change their language, come and go, all at once."""

from functools import partial

from tests.races.conftest import NewService, rounds
from tests.races.service import told


@rounds(3)
def test_each_language_counts_its_listeners_whatever_happens_at_once(
    new_service: NewService,
) -> None:
    service = new_service(64)
    before = [f"old-{n}" for n in range(16)]
    session_id = service.create_full_of(before)
    joins = {
        f"new-{n}": partial(service.join, session_id, f"new-{n}", ["es", "fr", "de"][n % 3])
        for n in range(15)
    }
    changes = {
        f"{old} to {language}": partial(service.change_language, old, language)
        for old in before
        for language in ("fr", "de")
    }
    closes = {old: partial(service.close, old) for old in before[:8]}
    refreshes = {
        f"of-{old}": partial(service.refresh, session_id, old, f"of-{old}", "it")
        for old in before[8:]
    }

    answers = service.at_once(joins | changes | closes | refreshes)

    assert told(answers, "sessionJoined") == set(joins)
    assert told(answers, "connectionRefreshComplete") == set(refreshes)
    counts, participants = service.languages(session_id)
    assert counts == participants
    assert sum(counts.values()) == service.books(session_id).listener_count == 15 + 8
