"""The application loaded again when a source file changes, as when a function's code is updated."""

import threading
from collections.abc import Callable, Set
from pathlib import Path

from watchfiles import Change, DefaultFilter
from watchfiles._rust_notify import RustNotify

from devserver.application import ApplicationError, Project
from devserver.gateway import Gateway

DEBOUNCE_MS = 500
"""Changes are taken together for so long at most: editors write in several steps."""

STEP_MS = 40
"""And until so much time went by without one."""

_is_interesting = DefaultFilter()


class Watcher:
    """Watches a project from the moment that it is made, so that nothing is missed while loading.

    watchfiles' own `watch` begins when it is first waited for; its documented backend does not.
    Only folders that hold sources are watched: the project's may hold a virtual environment.
    """

    def __init__(self, project: Project) -> None:
        self._project = project
        self._stopped = threading.Event()
        self._directories: list[str] = []
        self._notify = self._listen()

    def start(self, gateway: Gateway) -> Callable[[], None]:
        """Reload in a thread from now on; the returned function ends that.

        Connections stay open. Code that does not import is reported, and the old code goes on.
        """
        threading.Thread(target=self._run, args=(gateway,), name="reload", daemon=True).start()
        return self._stopped.set

    def _run(self, gateway: Gateway) -> None:
        while True:
            changes = self._notify.watch(DEBOUNCE_MS, STEP_MS, 0, self._stopped)
            if isinstance(changes, str):
                return
            if self._is_source_among(changes):
                reload(self._project, gateway)
            if self._source_directories() != self._directories:
                self._notify.close()
                self._notify = self._listen()

    def _listen(self) -> RustNotify:
        self._directories = self._source_directories()
        return RustNotify(self._directories, False, False, 0, False, True)

    def _source_directories(self) -> list[str]:
        root = self._project.directory
        packaged = [path for path in (root / "chalicelib").rglob("*") if path.is_dir()]
        candidates = [root, root / ".chalice", root / "chalicelib", *packaged]
        return sorted(
            str(path) for path in candidates if path.is_dir() and path.name != "__pycache__"
        )

    def _is_source_among(self, changes: Set[tuple[int, str]]) -> bool:
        return any(
            self._project.is_source(Path(path)) and _is_interesting(Change(kind), path)
            for kind, path in changes
        )


def reload(project: Project, gateway: Gateway) -> None:
    """Replace the gateway's application; keep the old one if the new one does not import."""
    try:
        gateway.replace_application(project.load())
    except ApplicationError as error:
        gateway.log.error(f"not reloaded, the old code stays: {error.describe()}")
    else:
        gateway.log.note("reloaded")
