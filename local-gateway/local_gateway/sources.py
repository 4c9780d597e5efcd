"""A snapshot of a project's Python sources, which later imports use instead of the files.

A running application can import modules lazily. With the snapshot, it gets the source from the
time when it was loaded, even if the file has changed since.
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
    """A source file doesn't compile. The message contains the file, the line and the error."""


@dataclass(frozen=True, slots=True)
class Source:
    """A module's file and its compiled code. For a package the file is `__init__.py`."""

    path: Path
    code: CodeType


class Sources(MetaPathFinder):
    """A finder for `sys.meta_path` with the modules of one project."""

    def __init__(self, sources: Mapping[str, Source]) -> None:
        """Create a finder.

        Args:
            sources: The sources by the modules' full names.
        """
        self._sources = sources

    def __contains__(self, name: str) -> bool:
        """Return whether the project has a module with this full name."""
        return name in self._sources

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None = None,  # noqa: ARG002
        target: ModuleType | None = None,  # noqa: ARG002
    ) -> ModuleSpec | None:
        """Return the module's spec; None if the project has no such module."""
        source = self._sources.get(fullname)
        if source is None:
            return None
        loader = _Loader(fullname, source)
        return spec_from_file_location(fullname, source.path, loader=loader)

    def install(self) -> None:
        """Use this snapshot for imports, in place of an earlier one."""
        remaining = [finder for finder in sys.meta_path if not isinstance(finder, Sources)]
        sys.meta_path[:] = [self, *remaining]


class _Loader(SourceFileLoader):
    def __init__(self, fullname: str, source: Source) -> None:
        super().__init__(fullname, str(source.path))
        self._code = source.code

    def get_code(self, _fullname: str) -> CodeType:
        """Return the compiled code, without reading or writing bytecode files."""
        return self._code


def compile_sources(directory: Path) -> Sources:
    """Compile app.py and the modules below chalicelib.

    Raises:
        InvalidSource: A source file doesn't compile or can't be read.
    """
    paths = [directory / "app.py", *sorted((directory / "chalicelib").rglob("*.py"))]
    found = [path for path in paths if path.is_file()]
    return Sources({_module_name(directory, path): _compile(directory, path) for path in found})


def installed() -> Sources | None:
    """Return the snapshot that imports use; None if there is none."""
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
