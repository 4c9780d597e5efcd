"""Concurrent language changes, joins and leaves."""

from functools import partial

from tests.races.conftest import NewService, twice
from tests.races.service import answered


@twice
def test_each_language_counts_its_listeners_under_concurrent_changes(
    new_service: NewService,
) -> None:
    service = new_service(64)
    before = [f"old-{n}" for n in range(16)]
    session_id = service.create_with_listeners(before)
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

    answers = service.run_all(joins | changes | closes | refreshes)

    assert answered(answers, "sessionJoined") == set(joins)
    assert answered(answers, "connectionRefreshComplete") == set(refreshes)
    counts, participants = service.languages(session_id)
    assert counts == participants
    assert sum(counts.values()) == service.attendance(session_id).listener_count == 15 + 8
