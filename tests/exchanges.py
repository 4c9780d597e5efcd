"""The recorded exchanges between clients and the service, in clients/exchanges."""

import json
from pathlib import Path
from typing import Any

FOLDER = Path("clients/exchanges")

Exchange = dict[str, Any]
Step = dict[str, Any]


def read_all() -> dict[str, Exchange]:
    """Return all exchanges by name, in alphabetical order."""
    return {path.stem: json.loads(path.read_text()) for path in sorted(FOLDER.glob("*.json"))}
