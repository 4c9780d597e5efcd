"""Runs Terraform with its provider, its environment and the files that it reads.

The terraform command comes from the path. The provider comes from the registry, unless a mirror
has it: a folder that contains {a registry's host}/hashicorp/aws, as `terraform providers mirror`
creates it.
"""

import hashlib
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
"""Where a mirror holds the AWS provider. Source: "Provider Installation", Terraform CLI."""

IGNORED: Final = ("TF_CLI_ARGS", "TF_DATA_DIR", "TF_VAR_", "TF_WORKSPACE")
"""How variables begin that would turn a command to another stage, or change its values, unseen.

Source: "Environment Variables", Terraform CLI.
"""

MADE: Final = (".terraform", "*.tfstate", "*.tfstate.*", "*.tfplan", "backend_override.tf")
"""What Terraform and the verbs make among the files of the stack."""

OUTPUT_CHARACTERS: Final = 6000
"""The end of a failed command's output that an error shows."""

_WITHOUT_COLOUR: Final = ("output", "workspace", "state")
"""Terraform's commands that have no -no-color option, or print no colour."""


class TerraformError(Exception):
    """Terraform is missing, or a command has failed; the message has the end of its output."""


def run(folder: Path, environment: Mapping[str, str], *arguments: str) -> str:
    """Run Terraform in a folder, and return its output. Raises: TerraformError."""
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
    """Return the outputs of the stack in a folder by their names. Raises: TerraformError."""
    outputs = json.loads(run(folder, environment, "output", "-json"))
    return {name: output["value"] for name, output in outputs.items()}


def show(folder: Path, environment: Mapping[str, str], *arguments: str) -> str:
    """Run Terraform in a folder, print its output line by line, and return it.

    Raises: TerraformError.
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
    """Print a line. If the reader of the output is gone, discard this line and all later ones.

    If the output stayed closed, Terraform would die of SIGPIPE in the middle of an apply.
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
    """Find a folder that holds the AWS provider; without one it has to come from the registry.

    The folder that TF_PROVIDER_MIRROR names is taken as it is: if the provider is not in it,
    Terraform says so, which is better than another one found in silence.
    """
    named = os.environ.get("TF_PROVIDER_MIRROR")
    if named:
        return Path(named).absolute()
    return next((folder for folder in usual_places() if has_provider(folder)), None)


def usual_places() -> Iterator[Path]:
    """Yield where mirrors are put: Terraform's own places first, then up to two levels in /opt.

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
    """Say whether a folder holds the AWS provider, of whatever version."""
    try:
        return any(path.is_dir() for path in folder.glob(PROVIDER))
    except PermissionError:
        return False


def init_arguments() -> list[str]:
    """Return what `terraform init` needs to install just the provider that the lock file names.

    From the mirror, if there is one.
    """
    mirror = find_mirror()
    return ["-lockfile=readonly", *([f"-plugin-dir={mirror}"] if mirror else [])]


def environment() -> dict[str, str]:
    """Return this process's environment, fit for Terraform; name on stderr what is left out of it.

    A configuration file that is named but not there makes each command begin with a warning, so
    it is named no more.
    """
    variables = dict(os.environ)
    if not Path(variables.get("TF_CLI_CONFIG_FILE", os.devnull)).exists():
        del variables["TF_CLI_CONFIG_FILE"]
    ignored = sorted(name for name in variables if name.startswith(IGNORED))
    if ignored:
        print(f"ignored, though set in the environment: {', '.join(ignored)}", file=sys.stderr)
    return {name: value for name, value in variables.items() if name not in ignored}


def stack_files(root: Path) -> list[Path]:
    """List the files of a project that Terraform reads, by their paths in it."""
    found = [*(root / "terraform").rglob("*"), root / "chalicelib" / "tables.json"]
    files = (path.relative_to(root) for path in found if path.is_file())
    return sorted(file for file in files if not _is_made(file))


def copy_stack(root: Path, scratch: Path) -> Path:
    """Copy the files of a project that Terraform reads. Return the copy of its terraform folder."""
    for file in stack_files(root):
        (scratch / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(root / file, scratch / file)
    return scratch / "terraform"


def find_changes(root: Path, copy: Path) -> list[Path]:
    """Find the files that are not byte for byte the same in a project and in a copy of it."""
    ours, theirs = _digests(root), _digests(copy)
    return sorted({file for file, _ in ours.items() ^ theirs.items()})


@contextmanager
def patience() -> Iterator[None]:
    """Hear Terraform out, whatever signal comes meanwhile, and raise KeyboardInterrupt after that.

    A terminal sends its Ctrl-C to Terraform too, which then finishes what it is at, saves the
    state and gives its lock back. Nothing is passed on to it: a second signal would make it drop
    everything. Of SIGHUP, when the terminal is closed, it would die at once; it inherits that this
    is ignored. Source: terraform's signal_unix.go and makeShutdownCh.

    Outside the main thread, which alone has signals, it does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    before = {
        signal.SIGINT: signal.signal(signal.SIGINT, lambda number, _: came.append(number)),
        signal.SIGTERM: signal.signal(signal.SIGTERM, lambda number, _: came.append(number)),
        signal.SIGHUP: signal.signal(signal.SIGHUP, signal.SIG_IGN),
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if came:
            raise KeyboardInterrupt


def _is_made(file: Path) -> bool:
    return any(fnmatch(part, pattern) for part in file.parts for pattern in MADE)


def _digests(root: Path) -> dict[Path, str]:
    files = stack_files(root)
    return {file: hashlib.sha256((root / file).read_bytes()).hexdigest() for file in files}
