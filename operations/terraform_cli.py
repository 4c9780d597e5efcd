"""Runs the terraform command, on a copy of the files that it reads.

The command comes from PATH. The AWS provider comes from a mirror, or else from the registry. A
mirror is a folder with HOST/hashicorp/aws in it, as `terraform providers mirror` creates it.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, Final

PROVIDER: Final = "*/hashicorp/aws"
"""The AWS provider's folder in a mirror. Source: "Provider Installation", Terraform CLI."""

IGNORED: Final = ("TF_CLI_ARGS", "TF_DATA_DIR", "TF_VAR_", "TF_WORKSPACE")
"""Prefixes of environment variables that could silently change a command's stage or values.

Source: "Environment Variables", Terraform CLI.
"""

WRITTEN: Final = (".terraform", "*.tfstate", "*.tfstate.*", "*.tfplan", "backend_override.tf")
"""Patterns of files that Terraform and the commands write beside the configuration."""

OUTPUT_CHARACTERS: Final = 6000
"""The length of a failed command's output in an error. Its end is kept."""

_WITHOUT_COLOUR: Final = ("output", "workspace", "state")
"""Terraform's commands that don't need, or don't have, the option -no-color."""


class TerraformError(Exception):
    """Terraform is missing, or a command has failed. The message ends with the command's output."""


def run(folder: Path, environment: Mapping[str, str], *arguments: str) -> str:
    """Run Terraform in a folder, and return its output.

    Raises:
        TerraformError: Terraform is missing, or the command has failed.
    """
    done = subprocess.run(  # noqa: S603
        _command(folder, *arguments),
        env=dict(environment),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        output = f"{done.stdout}\n{done.stderr}".strip()[-OUTPUT_CHARACTERS:]
        raise TerraformError(f"terraform {arguments[0]} has failed\n{output}")
    return done.stdout


def read_outputs(folder: Path, environment: Mapping[str, str]) -> dict[str, Any]:
    """Return the outputs of the stack in a folder by their names.

    Raises:
        TerraformError: Terraform is missing, or the command has failed.
    """
    outputs = json.loads(run(folder, environment, "output", "-json"))
    return {name: output["value"] for name, output in outputs.items()}


def show(folder: Path, environment: Mapping[str, str], *arguments: str) -> str:
    """Run Terraform in a folder, print its output line by line, and return it.

    Raises:
        TerraformError: Terraform is missing, or the command has failed.
    """
    printed = []
    with subprocess.Popen(  # noqa: S603
        _command(folder, *arguments, has_colour=sys.stdout.isatty()),
        env=dict(environment),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout
        for line in process.stdout:
            printed.append(line)
            _print_while_read(line)
    if process.returncode:
        raise TerraformError(f"terraform {arguments[0]} has failed")
    return "".join(printed)


def _command(folder: Path, command: str, *arguments: str, has_colour: bool = False) -> list[str]:
    executable = find_terraform()
    if executable is None:
        raise TerraformError("terraform is not on the path")
    plain = [] if has_colour or command in _WITHOUT_COLOUR else ["-no-color"]
    return [str(executable), f"-chdir={folder}", command, *plain, *arguments]


def _print_while_read(line: str) -> None:
    """Print a line. If the output is closed, discard this line and all later ones.

    Otherwise this process would stop, and SIGPIPE would end Terraform in the middle of an apply.
    """
    try:
        print(line, end="", flush=True)
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def find_terraform() -> Path | None:
    """Find the terraform command on the path."""
    found = shutil.which("terraform")
    return Path(found) if found else None


def find_mirror() -> Path | None:
    """Find a folder that contains the AWS provider.

    The folder in TF_PROVIDER_MIRROR is used without a check: if the provider is missing there,
    Terraform reports it, and no other mirror is used silently.
    """
    named = os.environ.get("TF_PROVIDER_MIRROR")
    if named:
        return Path(named).absolute()
    return next((folder for folder in mirror_folders() if has_provider(folder)), None)


def mirror_folders() -> Iterator[Path]:
    """Yield the folders that may be mirrors: Terraform's own first, then two levels of /opt.

    Source: "Implied Local Mirror Directories", Terraform CLI.
    """
    home = Path.home()
    data_home = os.environ.get("XDG_DATA_HOME") or str(home / ".local" / "share")
    data_dirs = os.environ.get("XDG_DATA_DIRS") or "/usr/local/share:/usr/share"
    yield home / ".terraform.d" / "plugins"
    yield home / "Library" / "Application Support" / "io.terraform" / "plugins"
    for folder in [data_home, *data_dirs.split(os.pathsep)]:
        yield Path(folder, "terraform", "plugins")
    yield from sorted(Path("/opt").glob("*/"))
    yield from sorted(Path("/opt").glob("*/*/"))


def has_provider(folder: Path) -> bool:
    """Return whether a folder contains any version of the AWS provider."""
    try:
        return any(path.is_dir() for path in folder.glob(PROVIDER))
    except PermissionError:
        return False


def init_arguments() -> list[str]:
    """Return the arguments of `terraform init` to install the provider of the lock file.

    It comes from a mirror, if there is one.
    """
    mirror = find_mirror()
    return ["-lockfile=readonly", *([f"-plugin-dir={mirror}"] if mirror else [])]


def environment() -> dict[str, str]:
    """Return this process's environment for Terraform, and report ignored variables on stderr.

    A TF_CLI_CONFIG_FILE that doesn't exist is left out: with it, each command prints a warning.
    """
    variables = dict(os.environ)
    if not Path(variables.get("TF_CLI_CONFIG_FILE", os.devnull)).exists():
        del variables["TF_CLI_CONFIG_FILE"]
    ignored = sorted(name for name in variables if name.startswith(IGNORED))
    if ignored:
        print(f"ignored environment variables: {', '.join(ignored)}", file=sys.stderr)
    return {name: value for name, value in variables.items() if name not in ignored}


def stack_files(root: Path) -> list[Path]:
    """List the relative paths of the files in a project that Terraform reads."""
    found = [*(root / "terraform").rglob("*"), root / "chalicelib" / "tables.json"]
    files = (path.relative_to(root) for path in found if path.is_file())
    return sorted(file for file in files if not _is_written(file))


def copy_stack(root: Path, scratch: Path) -> Path:
    """Copy the files of a project that Terraform reads; return the copied terraform folder."""
    for file in stack_files(root):
        (scratch / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(root / file, scratch / file)
    return scratch / "terraform"


def find_changes(root: Path, copy: Path) -> list[Path]:
    """List the files whose bytes differ between a project and its copy."""
    ours, theirs = _contents(root), _contents(copy)
    return sorted({file for file, _ in ours.items() ^ theirs.items()})


@contextmanager
def postponed_signals() -> Iterator[None]:
    """Postpone signals until Terraform has ended, and raise KeyboardInterrupt then.

    A terminal sends Ctrl-C to Terraform as well. Terraform then completes its current operation,
    saves the state and releases the lock. This process sends it no second signal, because
    Terraform would stop at once. SIGHUP, from a closed terminal, would also stop it at once:
    Terraform inherits that this process ignores SIGHUP. Source: terraform's signal_unix.go and
    makeShutdownCh.

    Outside the main thread, which alone receives signals, it does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    received: list[int] = []
    before = {
        signal.SIGINT: signal.signal(signal.SIGINT, lambda number, _: received.append(number)),
        signal.SIGTERM: signal.signal(signal.SIGTERM, lambda number, _: received.append(number)),
        signal.SIGHUP: signal.signal(signal.SIGHUP, signal.SIG_IGN),
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if received:
            raise KeyboardInterrupt


def _is_written(file: Path) -> bool:
    return any(fnmatch(part, pattern) for part in file.parts for pattern in WRITTEN)


def _contents(root: Path) -> dict[Path, bytes]:
    files = stack_files(root)
    return {file: (root / file).read_bytes() for file in files}
