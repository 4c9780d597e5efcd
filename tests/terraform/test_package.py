"""What `make package` writes."""

import importlib.util
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from scripts import package
from scripts.package import PackageError

STAGE = "dev"


@pytest.fixture(scope="module")
def module(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("module")
    package.package(STAGE, folder)
    return folder


def names(module: Path) -> set[str]:
    with zipfile.ZipFile(module / "deployment.zip") as packed:
        return set(packed.namelist())


def test_a_requirement_without_a_wheel_fails_the_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def warn(*_: object, **__: object) -> subprocess.CompletedProcess[str]:
        said = "Creating deployment package.\nCould not install dependencies:\nx==1\n"
        return subprocess.CompletedProcess([], 0, stdout=said, stderr="")

    monkeypatch.setattr(subprocess, "run", warn)
    with pytest.raises(PackageError, match="x==1"):
        package.package(STAGE, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_source_that_does_not_compile_fails_the_package(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("def\n")
    with pytest.raises(PackageError):
        package.compile_sources(tmp_path)


def test_the_same_sources_give_the_same_bytes(module: Path, tmp_path: Path) -> None:
    package.package(STAGE, tmp_path)
    for name in ("deployment.zip", "chalice.tf.json"):
        assert (tmp_path / name).read_bytes() == (module / name).read_bytes()


def test_the_zip_holds_the_application_and_its_requirements_and_nothing_else(module: Path) -> None:
    ours = {"__pycache__", "app.py", "chalicelib"}
    chalices = {"chalice"}
    required = {"cryptography", "jwt", "cffi", "pycparser"}
    found = {name.split("/")[0] for name in names(module)}
    extensions = {name for name in found if name.startswith("_cffi_backend")}
    metadata = {name for name in found if name.endswith(".dist-info")}
    assert found - extensions - metadata == ours | chalices | required
    assert "chalicelib/tables.json" in names(module)
    assert "chalicelib/words/nouns.txt" in names(module)


def test_every_source_has_its_compiled_code_beside_it(module: Path) -> None:
    packed = names(module)
    sources = {name for name in packed if name.endswith(".py")}
    tag = f"cpython-{sys.version_info.major}{sys.version_info.minor}"
    for source in sources:
        path = Path(source)
        compiled = path.parent / "__pycache__" / f"{path.stem}.{tag}.pyc"
        assert compiled.as_posix() in packed
    assert len([name for name in packed if name.endswith(".pyc")]) == len(sources)


def test_compiled_code_is_taken_without_a_look_at_the_source(module: Path) -> None:
    with zipfile.ZipFile(module / "deployment.zip") as packed:
        tag = f"cpython-{sys.version_info.major}{sys.version_info.minor}"
        header = packed.read(f"__pycache__/app.{tag}.pyc")[:8]
    assert header[:4] == importlib.util.MAGIC_NUMBER
    assert int.from_bytes(header[4:], "little") == 0b01  # hash-based, unchecked (PEP 552)


def test_the_configuration_needs_the_aws_provider_alone_and_names_its_stage(module: Path) -> None:
    configuration = json.loads((module / "chalice.tf.json").read_text())
    assert list(configuration["terraform"]["required_providers"]) == ["aws"]
    assert "null_data_source" not in configuration["data"]
    functions = configuration["resource"]["aws_lambda_function"]
    assert {function["function_name"].split("-")[2] for function in functions.values()} == {STAGE}
