"""Packages the application for a stage with Chalice.

Chalice downloads the requirements with pip, and this module sets pip's options: each file must be a
wheel that Lambda can load, with a hash in requirements.txt. pip doesn't build wheels here, because
a build runs code without a hash and links to this machine's libraries.

The output is chalice.tf.json and deployment.zip in terraform/modules/app. An override file there
replaces most of what doesn't fit in Chalice's configuration. This module does the rest: it removes
the null provider, and it writes the zip again, reproducibly and with compiled code.
"""

import compileall
import fcntl
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

from local_gateway.arguments import Parser
from local_gateway.command import run_command

MODULE: Final = Path("terraform/modules/app")
LAMBDA_ROOT: Final = "/var/task"
"""The folder of a function's code in Lambda, for the file names in tracebacks."""

TIMESTAMP: Final = (1980, 1, 1, 0, 0, 0)
"""The time of every entry of the zip, for reproducible bytes. It is the earliest that zip has."""

MISSING_WHEELS: Final = re.compile(
    r"Could not (?:satisfy the requirement: |install dependencies:\n)((?:\S+\n)+)"
)
"""Chalice exits with 0 after the second message. Source: chalice.deploy.packager, constants."""

TRACEBACK: Final = re.compile(r"^Traceback .*\n(?:  .*\n)+", re.MULTILINE)

CHALICE_CACHE: Final = Path(".chalice/deployments")
"""The zips that Chalice reuses, even those without all requirements."""

GLIBC_OF_RUNTIME: Final = {(3, 11): 26, (3, 12): 34, (3, 13): 34}
"""The minor version of glibc 2 in Lambda's runtime for each Python.

Python 3.11 runs on Amazon Linux 2, later versions on Amazon Linux 2023. AWS provider 5.100 refuses
newer runtimes. Source: "Lambda runtimes", AWS Lambda Developer Guide; chalice.deploy.packager.
"""

OLDEST_GLIBC: Final = 17
"""The oldest minor version of glibc in a wheel's tag. manylinux2014 covers it. Source: PEP 600."""


class PackageError(Exception):
    """The application can't be packaged."""


def main() -> int:
    """Package the stage that the argument names; return the exit code."""
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
    """Package the application for a stage into a Terraform module.

    Raises:
        PackageError: Chalice or pip has failed.
    """
    with tempfile.TemporaryDirectory() as scratch:
        written, unpacked = Path(scratch, "written"), Path(scratch, "unpacked")
        with locked_cache():
            run_chalice(stage, written)
            unpack(written / "deployment.zip", unpacked)
        compile_sources(unpacked)
        pack(unpacked, module / "deployment.zip")
        (module / "chalice.tf.json").write_text(read_configuration(written))


@contextmanager
def locked_cache() -> Iterator[None]:
    """Wait until no other process packages, and empty Chalice's cache after a failure.

    Otherwise, Chalice would read a zip that another process is writing, or reuse the zip of a
    failed or interrupted run.
    """
    folder = os.open(CHALICE_CACHE.parent, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    except BaseException:
        shutil.rmtree(CHALICE_CACHE, ignore_errors=True)
        raise
    finally:
        os.close(folder)


def run_chalice(stage: str, out: Path) -> None:
    """Run `chalice package` for a stage.

    Raises:
        PackageError: Chalice has failed, or a requirement has no wheel for Lambda.
    """
    pip_options = make_pip_options(get_glibc(sys.version_info[:2]), get_machine(stage))
    chalice = [sys.executable, "-c", "from chalice.cli import main; main()"]
    run = subprocess.run(  # noqa: S603
        [*chalice, "package", "--pkg-format", "terraform", "--stage", stage, str(out)],
        capture_output=True,
        text=True,
        check=False,
        # Chalice needs a region, but its output doesn't depend on it.
        env={**os.environ, **pip_options, "AWS_DEFAULT_REGION": "us-east-1"},
    )
    output = run.stdout + run.stderr
    if missing := MISSING_WHEELS.search(output):
        names = ", ".join(missing[1].split())
        raise PackageError(f"pip found no wheel of {names} that Lambda can load")
    if run.returncode or not (out / "chalice.tf.json").exists():
        raise PackageError(TRACEBACK.sub("", output).strip())


def get_glibc(version: tuple[int, int]) -> int:
    """Return the minor version of glibc in Lambda's runtime for a Python.

    Raises:
        PackageError: Lambda has no runtime for that Python, or the provider refuses it.
    """
    if version not in GLIBC_OF_RUNTIME:
        known = ", ".join(f"{major}.{minor}" for major, minor in GLIBC_OF_RUNTIME)
        raise PackageError(
            f"the functions run on Python {known}, but this is {version[0]}.{version[1]}; "
            "use one of them: make PYTHON=python3.13 package"
        )
    return GLIBC_OF_RUNTIME[version]


def get_machine(stage: str) -> str:
    """Return the machine in the tags of wheels for a stage's functions."""
    config = json.loads(Path(".chalice/config.json").read_text())
    architecture = Config(chalice_stage=stage, config_from_disk=config).lambda_architecture
    return "aarch64" if architecture == "arm64" else str(architecture)


def make_pip_options(glibc: int, machine: str) -> dict[str, str]:
    """Return variables that make pip accept only hashed wheels for Lambda, on any machine.

    Without them, Chalice would package wheels for linux_x86_64 that it builds on this machine, and
    it would replace an unsuitable file by one without checking its hash. Source: "Configuration"
    and "Secure installs", pip documentation.
    """
    platforms = [f"manylinux_2_{minor}_{machine}" for minor in range(glibc, OLDEST_GLIBC - 1, -1)]
    return {
        "PIP_ONLY_BINARY": ":all:",
        "PIP_PLATFORM": " ".join([*platforms, f"manylinux2014_{machine}"]),
        "PIP_REQUIRE_HASHES": "1",
    }


def read_configuration(written: Path) -> str:
    """Return the configuration in the folder that Chalice has written, as Terraform accepts it."""
    configuration = json.loads((written / "chalice.tf.json").read_text())
    drop_null_provider(configuration)
    return json.dumps(configuration, indent=2, sort_keys=True) + "\n"


def drop_null_provider(configuration: dict[str, Any]) -> None:
    """Remove the null provider and its data source, which an override file can't do.

    They only store the stage's name, and a mirror may contain only the AWS provider. This can go
    when Chalice no longer writes them (aws/chalice issue 1874).
    """
    del configuration["data"]["null_data_source"]
    del configuration["terraform"]["required_providers"]["null"]


def unpack(archive: Path, folder: Path) -> None:
    """Unpack a zip without the compiled code in it."""
    with zipfile.ZipFile(archive) as packed:
        packed.extractall(folder)
    for cache in folder.rglob("__pycache__"):
        shutil.rmtree(cache)


def compile_sources(folder: Path) -> None:
    """Compile the sources in a folder, because Lambda's code folder is read-only.

    The compiled files aren't checked by timestamp, because the zip's timestamps don't match. Their
    version is right: Chalice has set the functions' runtime to the Python that runs this.

    Raises:
        PackageError: A source doesn't compile.
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
        raise PackageError("a source doesn't compile")


def pack(folder: Path, archive: Path) -> None:
    """Write a zip whose bytes depend only on the names and contents of the files."""
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as packed:
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            entry = zipfile.ZipInfo(path.relative_to(folder).as_posix(), TIMESTAMP)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            packed.writestr(entry, path.read_bytes())


if __name__ == "__main__":
    run_command(main)
