"""Packages the application for a stage: what Chalice writes, made fit for today's Terraform.

Chalice downloads the requirements with pip, and this module sets pip's options: every file must be
a wheel that Lambda can load and that requirements.txt has the hash of. Nothing is built here: a
build runs code that no hash covers and links to this machine's libraries.

Writes chalice.tf.json and deployment.zip into terraform/modules/app, beside the override file that
replaces what Chalice pins or leaves out. Two things no override can do are done here: what is not
available is taken out, and the zip is written again, reproducibly and with compiled code.
"""

import compileall
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from py_compile import PycInvalidationMode
from typing import Any, Final

from chalice.config import Config

from devserver.arguments import Parser
from devserver.command import run_command

MODULE: Final = Path("terraform/modules/app")
LAMBDA_ROOT: Final = "/var/task"
"""Where Lambda unpacks a function's code, for the file names in tracebacks."""

TIMESTAMP: Final = (1980, 1, 1, 0, 0, 0)
"""Of every entry of the zip, so that the same sources give the same bytes; zip's earliest."""

MISSING_WHEELS: Final = re.compile(
    r"Could not (?:satisfy the requirement: |install dependencies:\n)((?:\S+\n)+)"
)
"""At the second, Chalice exits with 0. Source: chalice.deploy.packager, chalice.constants."""

TRACEBACK: Final = re.compile(r"^Traceback .*\n(?:  .*\n)+", re.MULTILINE)

CHALICE_CACHE: Final = Path(".chalice/deployments")
"""Zips that Chalice reuses, even one that lacks a requirement."""

GLIBC_OF_RUNTIME: Final = {(3, 11): 26, (3, 12): 34, (3, 13): 34}
"""Minor version of glibc 2 in Lambda's runtime for each Python: Amazon Linux 2, then 2023.

AWS provider 5.100 refuses newer runtimes. Source: "Lambda runtimes", AWS Lambda Developer Guide;
chalice.deploy.packager.
"""

OLDEST_GLIBC: Final = 17
"""Of wheels; the tag manylinux2014 stands for it and what is older. Source: PEP 600."""


class PackageError(Exception):
    """The package cannot be made; the message says why."""


def main() -> int:
    parser = Parser(description=__doc__)
    parser.add_argument("stage")
    stage = parser.parse_args().stage
    try:
        package(stage, MODULE)
    except PackageError as error:
        print(f"package: {error}", file=sys.stderr)
        return 1
    size = (MODULE / "deployment.zip").stat().st_size
    print(f"packaged stage {stage}: {MODULE / 'deployment.zip'}, {size:,} bytes")
    return 0


def package(stage: str, module: Path) -> None:
    """Raises: PackageError."""
    with tempfile.TemporaryDirectory() as scratch:
        written, unpacked = Path(scratch, "written"), Path(scratch, "unpacked")
        with empty_cache_after_failure():
            run_chalice(stage, written)
            unpack(written / "deployment.zip", unpacked)
        configuration = json.loads((written / "chalice.tf.json").read_text())
        drop_null_provider(configuration)
        compile_sources(unpacked)
        pack(unpacked, module / "deployment.zip")
        text = json.dumps(configuration, indent=2, sort_keys=True)
        (module / "chalice.tf.json").write_text(text + "\n")


@contextmanager
def empty_cache_after_failure() -> Iterator[None]:
    """Prevent Chalice from reusing the zip of a failed or interrupted run."""
    try:
        yield
    except BaseException:
        shutil.rmtree(CHALICE_CACHE, ignore_errors=True)
        raise


def run_chalice(stage: str, out: Path) -> None:
    """Raises: PackageError, also where a requirement has no wheel for Lambda."""
    pip_options = find_pip_options(find_glibc(sys.version_info[:2]), find_machine(stage))
    chalice = [sys.executable, "-c", "from chalice.cli import main; main()"]
    run = subprocess.run(  # noqa: S603
        [*chalice, "package", "--pkg-format", "terraform", "--stage", stage, str(out)],
        capture_output=True,
        text=True,
        check=False,
        # Chalice wants a region, though nothing that it writes depends on it.
        env={**os.environ, **pip_options, "AWS_DEFAULT_REGION": "us-east-1"},
    )
    said = run.stdout + run.stderr
    if missing := MISSING_WHEELS.search(said):
        names = ", ".join(missing[1].split())
        raise PackageError(f"pip found no wheel of {names} that Lambda can load, and builds none")
    if run.returncode or not (out / "chalice.tf.json").exists():
        raise PackageError(TRACEBACK.sub("", said).strip())


def find_glibc(version: tuple[int, int]) -> int:
    """Find the minor version of glibc in a Python's runtime. Raises: PackageError."""
    if version not in GLIBC_OF_RUNTIME:
        known = ", ".join(f"{major}.{minor}" for major, minor in GLIBC_OF_RUNTIME)
        raise PackageError(
            f"the functions run on Python {known}, and this is {version[0]}.{version[1]}; "
            "name one of them: make PYTHON=python3.13 package"
        )
    return GLIBC_OF_RUNTIME[version]


def find_machine(stage: str) -> str:
    """Find the machine in the names of wheels for a stage's functions."""
    held = json.loads(Path(".chalice/config.json").read_text())
    architecture = Config(chalice_stage=stage, config_from_disk=held).lambda_architecture
    return "aarch64" if architecture == "arm64" else str(architecture)


def find_pip_options(glibc: int, machine: str) -> dict[str, str]:
    """Return variables that make pip accept only hashed wheels for Lambda, on any machine.

    Without them, Chalice also packages a wheel for linux_x86_64, built on this machine, and checks
    no hash of a file that it downloads in place of an unsuitable one. Source: "Configuration" and
    "Secure installs", pip documentation.
    """
    platforms = [f"manylinux_2_{minor}_{machine}" for minor in range(glibc, OLDEST_GLIBC - 1, -1)]
    return {
        "PIP_ONLY_BINARY": ":all:",
        "PIP_PLATFORM": " ".join([*platforms, f"manylinux2014_{machine}"]),
        "PIP_REQUIRE_HASHES": "1",
    }


def drop_null_provider(configuration: dict[str, Any]) -> None:
    """Take out the null provider and what needs it, which an override file cannot.

    It only keeps the stage's name, and is not to be had where a mirror holds the AWS provider
    alone. Can go when Chalice drops it (aws/chalice issue 1874).
    """
    del configuration["data"]["null_data_source"]
    del configuration["terraform"]["required_providers"]["null"]


def unpack(archive: Path, folder: Path) -> None:
    """Unpack without the compiled code that happened to lie beside the sources."""
    with zipfile.ZipFile(archive) as packed:
        packed.extractall(folder)
    for cache in folder.rglob("__pycache__"):
        shutil.rmtree(cache)


def compile_sources(folder: Path) -> None:
    """Compile beside the sources: Lambda's code folder is read-only, so it could never cache.

    Unchecked hashes, since a zip's timestamps would not match. By the Python that runs this,
    which is the runtime that Chalice has written into the configuration.
    """
    compiled = compileall.compile_dir(
        folder,
        quiet=1,
        workers=1,
        stripdir=str(folder),
        prependdir=LAMBDA_ROOT,
        invalidation_mode=PycInvalidationMode.UNCHECKED_HASH,
    )
    if not compiled:
        raise PackageError("a source does not compile")


def pack(folder: Path, archive: Path) -> None:
    """Write a zip whose bytes depend on the files' names and contents alone."""
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as packed:
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            entry = zipfile.ZipInfo(path.relative_to(folder).as_posix(), TIMESTAMP)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            packed.writestr(entry, path.read_bytes())


if __name__ == "__main__":
    run_command(main)
