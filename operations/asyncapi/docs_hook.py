"""The hook of MkDocs that adds the viewer of docs/asyncapi.yaml to the site."""

import sys
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

sys.path.append(str(Path(__file__).parents[2]))

from operations.asyncapi import viewer


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the viewer's files."""
    for path, text in viewer.read_files().items():
        files.append(File.generated(config, path, content=text))
    return files
