"""The files of the viewer that shows docs/asyncapi.yaml in the docs."""

import json
from pathlib import Path
from typing import Final

import yaml

ROOT: Final = Path(__file__).parents[2]

_PACKAGE: Final = Path(__file__).parent / "node_modules" / "@asyncapi" / "react-component"


def read_files() -> dict[str, str]:
    """Return the texts of the files, by their paths in the site.

    The description is a script, because a page from the disk can't fetch a file.
    """
    description = yaml.safe_load((ROOT / "docs" / "asyncapi.yaml").read_text(encoding="utf-8"))
    script = _PACKAGE / "browser" / "standalone" / "index.js"
    style = _PACKAGE / "styles" / "default.min.css"
    return {
        "asyncapi/description.js": f"const DESCRIPTION = {json.dumps(description)};\n",
        "asyncapi/viewer.js": script.read_text(encoding="utf-8"),
        "asyncapi/viewer.css": style.read_text(encoding="utf-8"),
    }
