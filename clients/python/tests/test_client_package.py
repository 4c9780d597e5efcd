"""The wheel, as others install it."""

from email.parser import Parser
from pathlib import Path
from zipfile import ZipFile

import pytest
from flit_core.buildapi import build_wheel

ROOT = Path(__file__).parents[1]


@pytest.fixture
def wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Return the texts of the wheel by name, with the metadata's folder as "info"."""
    monkeypatch.chdir(ROOT)
    name = build_wheel(str(tmp_path))
    info = "-".join(name.split("-")[:2]) + ".dist-info"
    with ZipFile(tmp_path / name) as archive:
        return {
            path.replace(info, "info"): archive.read(path).decode() for path in archive.namelist()
        }


def test_the_wheel_contains_the_modules_the_types_and_the_license(wheel: dict[str, str]) -> None:
    modules = {f"{path.relative_to(ROOT)}" for path in ROOT.glob("broadcast_sessions_client/*.py")}
    contents = {name for name in wheel if not name.startswith("info/")}
    assert contents == modules | {"broadcast_sessions_client/py.typed"}
    assert wheel["info/licenses/LICENSE"] == (ROOT / "LICENSE").read_text()


def test_the_wheel_depends_on_websockets_alone(wheel: dict[str, str]) -> None:
    metadata = Parser().parsestr(wheel["info/METADATA"])
    assert metadata["Name"] == "broadcast-sessions-client"
    assert metadata["Requires-Python"] == ">=3.11"
    assert metadata.get_all("Requires-Dist") == ["websockets>=15"]
    assert metadata.get_payload().strip() == (ROOT / "README.md").read_text().strip()
