"""A project's Python sources, compiled together, and imports that read them instead of the files.

A running application imports some modules only when it needs them. With this, it gets the sources
that it was loaded with, also if a file is being edited meanwhile.
"""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import spec_from_file_location
from pathlib import Path
from types import CodeType, ModuleType


class InvalidSource(Exception):
    """A source does not compile. The message names the file, the line and the error."""


@dataclass(frozen=True, slots=True)
class Source:
    """A module's file and its code. Of a package this is `__init__.py`."""

    path: Path
    code: CodeType


class Sources(MetaPathFinder):
    """A finder for `sys.meta_path` that knows the modules of one project."""

    def __init__(self, sources: Mapping[str, Source]) -> None:
        self._sources = sources

    def __contains__(self, name: str) -> bool:
        return name in self._sources

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None = None,  # noqa: ARG002
        target: ModuleType | None = None,  # noqa: ARG002
    ) -> ModuleSpec | None:
        """Return the module's spec; None if it is not the project's."""
        source = self._sources.get(fullname)
        if source is None:
            return None
        loader = _Loader(fullname, source)
        return spec_from_file_location(fullname, source.path, loader=loader)

    def install(self) -> None:
        """Import the project's modules from here, and no longer from earlier sources."""
        remaining = [finder for finder in sys.meta_path if not isinstance(finder, Sources)]
        sys.meta_path[:] = [self, *remaining]


class _Loader(SourceFileLoader):
    def __init__(self, fullname: str, source: Source) -> None:
        super().__init__(fullname, str(source.path))
        self._code = source.code

    def get_code(self, _fullname: str) -> CodeType:
        """Return the code as it was compiled; no bytecode is read or written."""
        return self._code


def compile_sources(directory: Path) -> Sources:
    """Compile app.py and the modules below chalicelib. Raises: InvalidSource."""
    paths = [directory / "app.py", *sorted((directory / "chalicelib").rglob("*.py"))]
    found = [path for path in paths if path.is_file()]
    return Sources({_module_name(directory, path): _compile(directory, path) for path in found})


def installed() -> Sources | None:
    """Return the sources that imports read now, if there are any."""
    return next((finder for finder in sys.meta_path if isinstance(finder, Sources)), None)


def _module_name(directory: Path, path: Path) -> str:
    parts = path.relative_to(directory).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _compile(directory: Path, path: Path) -> Source:
    name = path.relative_to(directory)
    try:
        return Source(path, compile(path.read_bytes(), str(path), "exec", dont_inherit=True))
    except SyntaxError as error:
        raise InvalidSource(f"{name}:{error.lineno}: {type(error).__name__}: {error.msg}") from None
    except (OSError, ValueError, RecursionError, MemoryError) as error:
        raise InvalidSource(f"{name}: {type(error).__name__}: {error}") from None
