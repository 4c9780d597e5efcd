"""Reloading of the application when a source file changes."""

import threading
from collections.abc import Callable, Mapping, Set
from pathlib import Path

from watchfiles import Change, DefaultFilter
from watchfiles._rust_notify import RustNotify

from local_gateway.application import ApplicationError, Project
from local_gateway.gateway import Gateway

DEBOUNCE_MS = 500
"""Longest time for which changes are collected. Editors write files in several steps."""

STEP_MS = 40
"""Time without a change after which the collection ends early."""

_is_interesting = DefaultFilter()


class Watcher:
    """Watches a project's source files.

    Changes are recorded from the creation of the object on, so changes during the first load
    aren't missed. That is why the class uses watchfiles' documented backend: `watch` starts to
    record only when the caller first waits for changes. Only folders with sources are watched,
    because the project's folder can contain a virtual environment.
    """

    def __init__(self, project: Project) -> None:
        """Start to record changes.

        Raises:
            ApplicationError: The configuration isn't valid.
        """
        self._project = project
        self._at_start = _read_fixed(project)
        self._files = _option_files(project)
        self._stopped = threading.Event()
        self._directories: list[str] = []
        self._notify = self._listen()

    def start(self, gateway: Gateway) -> Callable[[], None]:
        """Start a thread that reloads the application after each change.

        Connections stay open. If the new code can't be imported, the error is logged and the old
        code stays in use.

        Returns:
            A function that stops the thread.
        """
        threading.Thread(target=self._run, args=(gateway,), name="reload", daemon=True).start()
        return self._stopped.set

    def _run(self, gateway: Gateway) -> None:
        while True:
            changes = self._notify.watch(DEBOUNCE_MS, STEP_MS, 0, self._stopped)
            if isinstance(changes, str):
                return
            if self._is_source_among(changes):
                reload(self._project, gateway, self._at_start)
            if self._source_directories() != self._directories:
                self._notify.close()
                self._notify = self._listen()

    def _listen(self) -> RustNotify:
        self._directories = self._source_directories()
        return RustNotify(self._directories, False, False, 0, False, True)

    def _source_directories(self) -> list[str]:
        root = self._project.directory
        packaged = [path for path in (root / "chalicelib").rglob("*") if path.is_dir()]
        named = [file.parent for file in self._files]
        candidates = {root, root / ".chalice", root / "chalicelib", *packaged, *named}
        return sorted(
            str(path) for path in candidates if path.is_dir() and path.name != "__pycache__"
        )

    def _is_source_among(self, changes: Set[tuple[int, str]]) -> bool:
        return any(
            (self._project.is_source(Path(path)) or Path(path) in self._files)
            and _is_interesting(Change(kind), path)
            for kind, path in changes
        )


def reload(project: Project, gateway: Gateway, at_start: Mapping[str, object]) -> None:
    """Replace the gateway's application, or keep the old one if the new one can't be imported.

    Args:
        project: The project.
        gateway: The gateway.
        at_start: The fixed settings with which the gateway started.
    """
    try:
        fixed = _read_fixed(project)
        gateway.replace_application(project.load())
    except ApplicationError as error:
        gateway.log.error(f"not reloaded, the old code stays in use: {error.describe()}")
    except BaseException as error:  # An import can raise anything, such as KeyboardInterrupt.
        gateway.log.error("not reloaded, the old code stays in use", error)
    else:
        gateway.log.note("reloaded")
        changed = [name for name in at_start.keys() & fixed if at_start[name] != fixed[name]]
        if changed:
            names = ", ".join(sorted(changed))
            gateway.log.note(f"restart the gateway to apply the changed {names}")


def _read_fixed(project: Project) -> dict[str, object]:
    """Return the settings that only a restart applies, by name."""
    options = project.read_aws_options()
    if options is None:
        return {"local_gateway.aws": None}
    return {
        "local_gateway.aws": "present",
        "local_gateway.aws.tables": options.tables,
        "local_gateway.aws.user_pool": options.user_pool,
        "local_gateway.aws.stand_ins": options.stand_ins,
        "app_name": project.read_config().app_name,
    }


def _option_files(project: Project) -> frozenset[Path]:
    """Return the files of the embedded AWS at the start, as paths that the watcher reports."""
    options = project.read_aws_options()
    return frozenset() if options is None else frozenset(map(Path.resolve, options.files))
