"""Packages the application for a stage: what Chalice writes, made fit for today's Terraform.

Writes chalice.tf.json and deployment.zip into terraform/modules/app, beside the override file that
replaces what Chalice pins or leaves out. Two things no override can do are done here: what is not
available is taken out, and the zip is written again, reproducibly and with compiled code.
"""

import argparse
import compileall
import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from py_compile import PycInvalidationMode
from typing import Any, Final

MODULE: Final = Path("terraform/modules/app")
LAMBDA_ROOT: Final = "/var/task"
"""Where Lambda unpacks a function's code, for the file names in tracebacks."""

TIMESTAMP: Final = (1980, 1, 1, 0, 0, 0)
"""Of every entry of the zip, so that the same sources give the same bytes; zip's earliest."""

MISSING_WHEEL: Final = "Could not install dependencies"
"""Chalice only warns, and the deployed functions would fail. Source: chalice.constants."""


class PackageError(Exception):
    """The package cannot be made; the message says why."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
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
        run_chalice(stage, written)
        configuration = json.loads((written / "chalice.tf.json").read_text())
        drop_null_provider(configuration)
        unpack(written / "deployment.zip", unpacked)
        compile_sources(unpacked)
        pack(unpacked, module / "deployment.zip")
        text = json.dumps(configuration, indent=2, sort_keys=True)
        (module / "chalice.tf.json").write_text(text + "\n")


def run_chalice(stage: str, out: Path) -> None:
    """Raises: PackageError, also where a requirement has no wheel for Lambda."""
    chalice = [sys.executable, "-c", "from chalice.cli import main; main()"]
    run = subprocess.run(  # noqa: S603
        [*chalice, "package", "--pkg-format", "terraform", "--stage", stage, str(out)],
        capture_output=True,
        text=True,
        check=False,
        # Chalice wants a region, though nothing that it writes depends on it.
        env={**os.environ, "AWS_DEFAULT_REGION": "us-east-1"},
    )
    said = run.stdout + run.stderr
    if run.returncode or MISSING_WHEEL in said or not (out / "chalice.tf.json").exists():
        raise PackageError(said.strip())


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
    sys.exit(main())
