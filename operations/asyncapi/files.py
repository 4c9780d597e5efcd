"""The files that `make asyncapi` writes."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from operations.asyncapi import description, language_tables, typescript
from operations.asyncapi.schemas import list_schemas

ROOT: Final = Path(__file__).parents[2]


def generate() -> Mapping[Path, str]:
    """Return the text of each file, by its path in the repository."""
    return {
        Path("docs/asyncapi.yaml"): description.encode(description.describe()),
        Path("clients/javascript/src/messages.d.ts"): typescript.declare(list_schemas()),
        Path("clients/javascript/src/language-table.js"): language_tables.write_javascript(),
        Path(
            "clients/python/broadcast_sessions_client/language_table.py"
        ): language_tables.write_python(),
    }
