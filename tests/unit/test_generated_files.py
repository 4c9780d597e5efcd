"""The files that `make asyncapi` generates."""

from pathlib import Path

import pytest

from operations.asyncapi.files import ROOT, generate

GENERATED = generate()


@pytest.mark.parametrize("path", GENERATED, ids=str)
def test_a_generated_file_is_up_to_date(path: Path) -> None:
    is_current = (ROOT / path).is_file() and (ROOT / path).read_text("utf-8") == GENERATED[path]
    assert is_current, f"{path} is stale; run `make asyncapi`"
