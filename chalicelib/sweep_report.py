"""The findings and changes of a sweep."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Visit:
    """The findings and changes of a sweep in one session."""

    is_active: bool = False
    listeners: int = 0
    removed: int = 0
    repaired: int = 0
    has_ended: bool = False
    has_failed: bool = False


@dataclass(slots=True)
class Report:
    """The findings and changes of a sweep.

    If `is_complete` is true, `active_sessions` and `listeners` are those of all sessions. A sweep
    that runs out of time passes these two numbers to the next one.
    """

    active_sessions: int = 0
    listeners: int = 0
    visited: int = 0
    ended: int = 0
    removed: int = 0
    repaired: int = 0
    failed: int = 0
    is_complete: bool = False

    def to_fields(self) -> dict[str, int | bool]:
        """Return the report as log fields."""
        return {
            "activeSessions": self.active_sessions,
            "listeners": self.listeners,
            "visited": self.visited,
            "ended": self.ended,
            "removed": self.removed,
            "mended": self.repaired,
            "notSwept": self.failed,
            "isComplete": self.is_complete,
        }

    def add(self, visits: Iterable[Visit]) -> None:
        """Add visits."""
        for visit in visits:
            self.visited += 1
            self.active_sessions += visit.is_active
            self.listeners += visit.listeners
            self.ended += visit.has_ended
            self.removed += visit.removed
            self.repaired += visit.repaired
            self.failed += visit.has_failed
