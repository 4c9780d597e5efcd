"""The probe's stack: packaged by Chalice, and applied and destroyed by Terraform."""

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

from conformance.targets.base import PROBE, TargetError

TERRAFORM: Final = Path(__file__).parents[1] / "terraform"
OUTPUT_CHARACTERS: Final = 3000
"""The length of a failed command's output in an error. Its end is kept."""

OUTPUTS: Final = ("api_ids", "stage", "records_table")
"""The outputs for Stack. Chalice's package adds its own."""

WRITTEN: Final = shutil.ignore_patterns(".terraform", "*.tfstate*", "chalice.tf.json", "*.zip")
"""Files that Terraform and Chalice write."""

VARIABLES: Final = ("TF_VAR_run", "TF_VAR_management_url")
"""The variables of the stack."""

SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""The signals that end the suite, after it has removed what it created."""


@dataclass(frozen=True, slots=True)
class Stack:
    """The outputs of the stack.

    Attributes:
        api_ids: The APIs' IDs, by variant.
        stage: The name of each API's stage.
        records_table: The name of the table of records.
    """

    api_ids: Mapping[str, str]
    stage: str
    records_table: str


@contextmanager
def applied_stack(environment: Mapping[str, str], management_url: str = "") -> Iterator[Stack]:
    """Create the stack, and destroy it at the end, also after Ctrl-C.

    Terraform's state is in a folder of `find_states`, which stays if Terraform can't destroy the
    stack, or if this process is killed.

    Args:
        environment: The environment for Terraform, with credentials.
        management_url: The URL of an emulator's @connections API.

    Raises:
        TargetError: The probe can't be packaged, or Terraform has failed.
    """
    run = uuid4().hex[:8]
    home = find_states() / run
    home.mkdir(parents=True)
    variables = dict(zip(VARIABLES, (run, management_url), strict=True))
    terraform = Terraform(home / "terraform", {**environment, **variables})
    try:
        prepare(run, home, terraform)
    except BaseException:
        shutil.rmtree(home)
        raise
    say(f"applying the stack {run}; Terraform's state is in {terraform.folder}")
    try:
        terraform.run("apply", "-auto-approve", "-input=false")
        outputs = json.loads(terraform.run("output", "-json"))
        yield Stack(**{name: outputs[name]["value"] for name in OUTPUTS})
    finally:
        destroy(terraform)
        shutil.rmtree(home)


def find_states() -> Path:
    """Return the folder of Terraform's states, which remains when the machine restarts.

    Source: XDG Base Directory Specification, XDG_STATE_HOME.
    """
    parent = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(parent) / "chalice-local-gateway" / "conformance"


def destroy(terraform: "Terraform") -> None:
    """Destroy the stack, without interruption.

    Raises:
        TargetError: Terraform has failed.
    """
    say("destroying the stack, which takes about a minute")
    with ignored_signals():
        try:
            terraform.run("destroy", "-auto-approve", "-input=false")
        except TargetError as error:
            names = ("AWS_REGION", *VARIABLES)
            settings = terraform.environment
            assignments = [f"{name}={settings[name]}" for name in names if name in settings]
            command = ["env", *assignments, "terraform", f"-chdir={terraform.folder}", "destroy"]
            hint = f"resources may remain; with the same credentials, run: {shlex.join(command)}"
            first = "" if error.__context__ is None else f"{error.__context__}\n"
            raise TargetError(f"{first}{error}\n{hint}") from None


def prepare(run: str, home: Path, terraform: "Terraform") -> None:
    """Write the stack with the packaged probe into Terraform's folder, and initialize it.

    Raises:
        TargetError: The probe can't be packaged, or Terraform has failed.
    """
    shutil.copytree(TERRAFORM, terraform.folder, ignore=WRITTEN)
    package(run, home, terraform.folder)
    terraform.run("init", "-input=false", "-lockfile=readonly")


def package(run: str, home: Path, folder: Path) -> None:
    """Package the probe with Chalice into a folder of Terraform files.

    Raises:
        TargetError: Chalice has failed.
    """
    project, out = home / "probe", home / "package"
    shutil.copytree(PROBE, project, ignore=shutil.ignore_patterns("__pycache__", "deployments"))
    chalice = [sys.executable, "-c", "from chalice.cli import main; main()"]
    execute(
        [*chalice, "package", "--pkg-format", "terraform", "--stage", run, str(out)],
        # Chalice imports the probe, which reads the table's name, and needs a region.
        {**os.environ, "RECORDS_TABLE": "unused", "AWS_DEFAULT_REGION": "us-east-1"},
        project,
    )
    configuration = json.loads((out / "chalice.tf.json").read_text())
    # An override file can't remove the null provider, which a mirror may lack. It only stores the
    # stage's name. Source: aws/chalice issue 1874.
    del configuration["data"]["null_data_source"]
    del configuration["terraform"]["required_providers"]["null"]
    (folder / "chalice.tf.json").write_text(json.dumps(configuration, indent=2))
    shutil.copy(out / "deployment.zip", folder)


@dataclass(frozen=True, slots=True)
class Terraform:
    """The terraform command in a folder."""

    folder: Path
    environment: Mapping[str, str]

    def run(self, *arguments: str) -> str:
        """Run a command, and return its output.

        Raises:
            TargetError: Terraform is missing, or the command has failed.
        """
        executable = shutil.which("terraform")
        if executable is None:
            raise TargetError("terraform is not on the path")
        return execute([executable, *arguments], self.environment, self.folder)


def execute(command: list[str], environment: Mapping[str, str], folder: Path) -> str:
    """Run a command in a folder, and return what it prints on stdout.

    Ctrl-C doesn't reach the command itself. It gets one SIGINT, after which Terraform completes its
    current operation and saves its state. A second one would stop it at once.

    Raises:
        TargetError: The command has failed.
    """
    with subprocess.Popen(  # noqa: S603
        command,
        env=dict(environment),
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            output, errors = process.communicate()
        except KeyboardInterrupt:
            with ignored_signals():
                process.send_signal(signal.SIGINT)
                process.communicate()
            raise
    if process.returncode:
        printed = (errors.strip() or output.strip())[-OUTPUT_CHARACTERS:]
        raise TargetError(f"{Path(command[0]).name} has failed in {folder}\n{printed}")
    return output


@contextmanager
def ignored_signals() -> Iterator[None]:
    """Ignore Ctrl-C and requests to terminate."""
    previous = {number: signal.signal(number, signal.SIG_IGN) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def find_environment(**variables: Any) -> dict[str, str]:
    """Return this process's environment for Terraform, without variables that change its values."""
    names = ("TF_VAR_", "TF_WORKSPACE", "TF_DATA_DIR")
    own = {name: value for name, value in os.environ.items() if not name.startswith(names)}
    return {**own, "TF_CLI_ARGS": "-no-color", **variables}


def say(text: str) -> None:
    """Print progress."""
    print(f"conformance: {text}", file=sys.stderr, flush=True)
