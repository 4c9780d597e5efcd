"""The output of `make package`."""

import fcntl
import hashlib
import importlib.util
import json
import os
import shutil
import sys
import tarfile
import textwrap
import zipfile
from pathlib import Path

import pytest

from operations import package
from operations.package import PackageError

ROOT = Path(package.__file__).parents[1]
STAGE = "dev"
METADATA = "Metadata-Version: 2.1\nName: example\nVersion: 1\n"

PYPROJECT = """
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
"""

BACKEND = """
import pathlib, subprocess, zipfile

def prepare_metadata_for_build_wheel(folder, settings=None):
    (pathlib.Path(folder) / "example-1.dist-info").mkdir()
    metadata = pathlib.Path("PKG-INFO").read_text()
    (pathlib.Path(folder) / "example-1.dist-info" / "METADATA").write_text(metadata)
    return "example-1.dist-info"

def write_wheel(folder, tag, module):
    name = f"example-1-{tag}.whl"
    with zipfile.ZipFile(pathlib.Path(folder) / name, "w") as packed:
        packed.write(module)
        packed.write("PKG-INFO", "example-1.dist-info/METADATA")
        packed.writestr("example-1.dist-info/WHEEL", f"Wheel-Version: 1.0\\nTag: {tag}\\n")
        packed.writestr("example-1.dist-info/RECORD", "")
    return name

def build_wheel(folder, settings=None, metadata=None):
"""

WRITE_PURE = """
pathlib.Path("example.py").write_text("")
return write_wheel(folder, "py3-none-any", "example.py")
"""

WRITE_COMPILED = """
pathlib.Path("example.c").write_text("int one(void) { return 1; }")
subprocess.run(["gcc", "-shared", "-fPIC", "-o", "example.so", "example.c"], check=True)
return write_wheel(folder, "py3-none-linux_x86_64", "example.so")
"""


@pytest.fixture(scope="module")
def module(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("module")
    package.package(STAGE, folder)
    return folder


def names(module: Path) -> set[str]:
    with zipfile.ZipFile(module / "deployment.zip") as packed:
        return set(packed.namelist())


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a copy of the application, with its requirements in a folder of its own."""
    folder = tmp_path / "project"
    for name in ("chalicelib", ".chalice"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("deployments"))
    shutil.copy(ROOT / "app.py", folder)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def require(file: Path, requirement: str = "example==1") -> None:
    """Write a requirement into the folder of its file, with the file's hash."""
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    file.with_name("requirements.txt").write_text(f"{requirement} --hash=sha256:{digest}\n")


def make_wheel(folder: Path, platform: str) -> Path:
    file = folder / f"example-1-py3-none-{platform}.whl"
    with zipfile.ZipFile(file, "w") as packed:
        packed.writestr("example.py", "")
        packed.writestr("example-1.dist-info/METADATA", METADATA)
        packed.writestr(
            "example-1.dist-info/WHEEL", f"Wheel-Version: 1.0\nTag: py3-none-{platform}\n"
        )
        packed.writestr("example-1.dist-info/RECORD", "")
    return file


def make_sdist(folder: Path, build: str) -> Path:
    """Make a source distribution whose own build backend runs `build`."""
    source = folder / "example-1"
    source.mkdir()
    (source / "PKG-INFO").write_text(METADATA)
    (source / "pyproject.toml").write_text(PYPROJECT)
    (source / "backend.py").write_text(BACKEND + textwrap.indent(build, "    "))
    file = folder / "example-1.tar.gz"
    with tarfile.open(file, "w:gz") as packed:
        packed.add(source, source.name)
    shutil.rmtree(source)
    return file


@pytest.mark.parametrize(
    ("build", "form"),
    [
        ("raise SystemExit('no')", "example==1"),
        (WRITE_PURE, "example==1"),
        (WRITE_COMPILED, "example==1"),
        (WRITE_COMPILED, "example @ {file}"),
    ],
    ids=["does not build", "pure", "compiled", "compiled, by its path"],
)
def test_a_requirement_without_a_wheel_fails_the_package_and_leaves_no_zip_to_reuse(
    project: Path, tmp_path: Path, build: str, form: str
) -> None:
    sdist = make_sdist(project, build)
    require(sdist, form.format(file=sdist.as_uri()))
    with pytest.raises(PackageError, match="no wheel of example==1 that Lambda can load"):
        package.package(STAGE, tmp_path)
    assert list(tmp_path.rglob("*.zip")) == []


@pytest.mark.parametrize("newer", ["linux_x86_64", "manylinux_2_{newer}_x86_64"])
def test_a_wheel_for_another_platform_than_lambda_fails_the_package(
    project: Path, tmp_path: Path, newer: str
) -> None:
    require(make_wheel(project, newer.format(newer=glibc() + 1)))
    with pytest.raises(PackageError, match="no wheel of example==1 that Lambda can load"):
        package.package(STAGE, tmp_path)


def test_a_wheel_for_the_glibc_of_lambda_is_packaged(project: Path, tmp_path: Path) -> None:
    require(make_wheel(project, f"manylinux_2_{glibc()}_x86_64"))
    package.package(STAGE, tmp_path)
    assert "example.py" in names(tmp_path)


def glibc() -> int:
    return package.GLIBC_OF_RUNTIME[sys.version_info[:2]]


def test_wheels_match_the_architecture_of_the_stage(project: Path, tmp_path: Path) -> None:
    file = project / ".chalice" / "config.json"
    configuration = json.loads(file.read_text())
    configuration["stages"][STAGE] = {"lambda_architecture": "arm64"}
    file.write_text(json.dumps(configuration))
    require(make_wheel(project, "manylinux_2_17_x86_64"))
    with pytest.raises(PackageError, match="no wheel of example==1 that Lambda can load"):
        package.package(STAGE, tmp_path)
    require(make_wheel(project, "manylinux_2_17_aarch64"))
    package.package(STAGE, tmp_path)


def test_a_wheel_with_another_hash_fails_the_package(project: Path, tmp_path: Path) -> None:
    wheel = make_wheel(project, "any")
    require(wheel)
    with zipfile.ZipFile(wheel, "a") as packed:
        packed.writestr("implant.py", "")
    with pytest.raises(PackageError, match=r"(?s)DO NOT MATCH THE HASHES.*example==1"):
        package.package(STAGE, tmp_path)


def test_a_requirement_without_a_hash_fails_the_package(project: Path, tmp_path: Path) -> None:
    make_wheel(project, "any")
    (project / "requirements.txt").write_text("example==1\n")
    with pytest.raises(PackageError, match=r"(?s)Hashes are required.*example==1"):
        package.package(STAGE, tmp_path)


@pytest.mark.parametrize("version", [(3, 10), (3, 14)])
def test_a_python_that_lambda_or_the_provider_lacks_is_refused(version: tuple[int, int]) -> None:
    with pytest.raises(PackageError, match=r"3\.11, 3\.12, 3\.13.*make PYTHON=python3\.13"):
        package.get_glibc(version)


def test_a_source_that_does_not_compile_fails_the_package(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("def\n")
    with pytest.raises(PackageError):
        package.compile_sources(tmp_path)


def test_the_same_sources_give_the_same_bytes(module: Path, tmp_path: Path) -> None:
    package.package(STAGE, tmp_path)
    for name in ("deployment.zip", "chalice.tf.json"):
        assert (tmp_path / name).read_bytes() == (module / name).read_bytes()


def test_the_zip_contains_only_the_application_and_its_requirements(module: Path) -> None:
    ours = {"__pycache__", "app.py", "chalicelib"}
    chalices = {"chalice"}
    required = {"cryptography", "jwt", "cffi", "pycparser"}
    found = {name.split("/")[0] for name in names(module)}
    extensions = {name for name in found if name.startswith("_cffi_backend")}
    metadata = {name for name in found if name.endswith(".dist-info")}
    assert found - extensions - metadata == ours | chalices | required
    assert "chalicelib/tables.json" in names(module)
    assert "chalicelib/words/nouns.txt" in names(module)


def test_every_source_is_compiled(module: Path) -> None:
    packed = names(module)
    sources = {name for name in packed if name.endswith(".py")}
    tag = f"cpython-{sys.version_info.major}{sys.version_info.minor}"
    for source in sources:
        path = Path(source)
        compiled = path.parent / "__pycache__" / f"{path.stem}.{tag}.pyc"
        assert compiled.as_posix() in packed
    assert len([name for name in packed if name.endswith(".pyc")]) == len(sources)


def test_compiled_code_is_loaded_without_a_check_of_the_source(module: Path) -> None:
    with zipfile.ZipFile(module / "deployment.zip") as packed:
        tag = f"cpython-{sys.version_info.major}{sys.version_info.minor}"
        header = packed.read(f"__pycache__/app.{tag}.pyc")[:8]
    assert header[:4] == importlib.util.MAGIC_NUMBER
    assert int.from_bytes(header[4:], "little") == 0b01  # hash-based, unchecked (PEP 552)


def test_the_configuration_needs_only_the_aws_provider_and_names_its_stage(module: Path) -> None:
    configuration = json.loads((module / "chalice.tf.json").read_text())
    assert list(configuration["terraform"]["required_providers"]) == ["aws"]
    assert "null_data_source" not in configuration["data"]
    functions = configuration["resource"]["aws_lambda_function"]
    assert {function["function_name"].split("-")[2] for function in functions.values()} == {STAGE}


def test_one_process_at_a_time_uses_the_cache_of_chalice() -> None:
    folder = os.open(".chalice", os.O_RDONLY)
    try:
        with package.locked_cache(), pytest.raises(BlockingIOError):
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    finally:
        os.close(folder)
