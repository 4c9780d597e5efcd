"""The Terraform stack of a stage, in a copy of the files that Terraform reads.

Each stage has its own copy, in build/terraform/STAGE. Stages with different backends don't mix, and
later edits and packages don't change a saved plan.
"""

import fcntl
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final, TypeVar

from operations import terraform_cli
from operations.terraform_cli import TerraformError

ROOT: Final = Path(__file__).parent.parent

LOCK_TIMEOUT: Final = "5s"
"""How long Terraform waits for a locked state before it prints the owner of the lock."""

UNDECLARED: Final = "Value for undeclared variable"
"""Terraform's warning for a misspelled variable in a variables file. It isn't an error there."""

BACKEND_CHANGED: Final = "-migrate-state"
"""An option that Terraform suggests if a folder's backend differs from its record."""

MOVING_STATE: Final = "see docs/how-to/manage-state.md#moving-a-state"

Result = TypeVar("Result")


class StackError(Exception):
    """The command is refused, or Terraform has failed."""


@dataclass(frozen=True)
class Stack:
    """The stack of one stage in one copy of the project."""

    stage: str
    root: Path = ROOT

    @property
    def terraform_folder(self) -> Path:
        """The project's Terraform configuration."""
        return self.root / "terraform"

    @property
    def environments(self) -> Path:
        """The folder with the variables files of all stages."""
        return self.terraform_folder / "environments"

    @property
    def data_folder(self) -> Path:
        """The folder for everything that the commands write for the stage."""
        return self.root / "build" / "terraform" / self.stage

    @property
    def copy(self) -> Path:
        """The copy of the configuration that Terraform runs in."""
        return self.data_folder / "terraform"

    @property
    def terraform_data(self) -> Path:
        """Terraform's data for the copy, with its record of the last backend.

        It is outside build/, because `make clean` must not remove that record.
        """
        return self.terraform_folder / ".terraform" / self.stage

    @property
    def state_folder(self) -> Path:
        """A folder without the configuration, to read the state without a package."""
        return self.data_folder / "state"

    @property
    def plan_file(self) -> Path:
        """The plan that `apply` applies. Only `plan` writes it."""
        return self.data_folder / "plan.tfplan"

    @property
    def unconfirmed_plan_file(self) -> Path:
        """The plan that `deploy` or `destroy` asks you to confirm."""
        return self.data_folder / "unconfirmed.tfplan"

    @property
    def local_states(self) -> Path:
        """The folder for the states of all stages without a backend file."""
        return self.terraform_folder / "terraform.tfstate.d"

    @property
    def unsaved_state(self) -> Path:
        """The state that Terraform could not save in its backend."""
        return self.terraform_folder / f"{self.stage}.errored.tfstate"

    @property
    def variables_file(self) -> Path:
        """The stage's variables file."""
        return self.environments / f"{self.stage}.tfvars"

    @property
    def backend_file(self) -> Path:
        """The stage's S3 backend. Without this file, the state is in `local_states`."""
        return self.environments / f"{self.stage}.s3.tfbackend"

    @cached_property
    def environment(self) -> dict[str, str]:
        """The environment for Terraform."""
        return terraform_cli.environment()

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Lock the stage's folder.

        Raises:
            StackError: Another command holds the lock.
        """
        self.data_folder.mkdir(parents=True, exist_ok=True)
        with (self.data_folder / "lock").open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise StackError(
                    f"another command for {self.stage} is running in this folder; "
                    "wait until it ends"
                ) from None
            yield

    def make_copy(self) -> None:
        """Replace the copy of the files that Terraform reads, and remove a plan of the old copy."""
        self.plan_file.unlink(missing_ok=True)
        for file in terraform_cli.stack_files(self.data_folder):
            (self.data_folder / file).unlink()
        terraform_cli.copy_stack(self.root, self.data_folder)

    def initialize(self) -> None:
        """Initialize Terraform in the copy.

        Raises:
            StackError: Terraform has failed, or the backend file has changed.
        """
        try:
            self._initialize(self.copy, *terraform_cli.init_arguments())
        except StackError as error:
            if BACKEND_CHANGED not in str(error):
                raise
            raise StackError(
                f"the backend file of {self.stage} has changed since Terraform last used it. "
                f"Change it back, and move the state: {MOVING_STATE}"
            ) from None

    def save_plan(self, file: Path, *options: str) -> None:
        """Plan in the copy, print the plan, and save it in a file. A failure leaves no file.

        Raises:
            StackError: Terraform has failed, or a variable isn't declared.
        """
        try:
            printed = self._terraform(
                terraform_cli.show,
                self.copy,
                "plan",
                "-input=false",
                f"-lock-timeout={LOCK_TIMEOUT}",
                f"-var-file=environments/{self.stage}.tfvars",
                f"-out={file}",
                *options,
            )
            if UNDECLARED in printed:
                raise StackError(
                    f"environments/{self.stage}.tfvars sets a variable "
                    "that the stack doesn't declare"
                )
        except BaseException:
            file.unlink(missing_ok=True)
            raise

    def apply(self, file: Path) -> None:
        """Apply a saved plan, and remove it.

        Raises:
            StackError: Terraform has failed.
        """
        try:
            options = ("-input=false", f"-lock-timeout={LOCK_TIMEOUT}")
            self._terraform(terraform_cli.show, self.copy, "apply", *options, str(file))
        finally:
            file.unlink(missing_ok=True)
            self.keep_unsaved_state()

    def keep_unsaved_state(self) -> None:
        """Move a state that Terraform could not save out of the copy, which is replaced later.

        Source: "Manual State Pull/Push" and errored.tfstate, Terraform CLI.
        """
        errored = self.copy / "errored.tfstate"
        if errored.exists():
            errored.replace(self.unsaved_state)
            print(
                f"stack: the state could not be saved and is in "
                f"{self.unsaved_state.relative_to(self.root)}; push it: {MOVING_STATE}",
                file=sys.stderr,
            )

    def read_outputs_of_state(self) -> dict[str, Any]:
        """Return the outputs in the stage's state. They are empty if the stage isn't deployed.

        Leaves the copy and its plan alone.

        Raises:
            StackError: Terraform has failed.
        """
        self._initialize(self.state_folder, "-reconfigure")
        return self._terraform(terraform_cli.read_outputs, self.state_folder)

    def _initialize(self, folder: Path, *options: str) -> None:
        """Initialize Terraform in a folder, and select the stage's workspace, or create it.

        A backend file alone doesn't say that the backend is S3, so this writes an override file.
        The path of the local states is relative: you can move the project. Source: "Override Files"
        and "Partial Configuration", Terraform language.
        """
        self.local_states.mkdir(exist_ok=True)
        folder.mkdir(parents=True, exist_ok=True)
        backend = 'backend "s3" {}'
        if self.backend_file.exists():
            options = (f"-backend-config={self.backend_file}", *options)
        else:
            states = os.path.relpath(self.local_states, folder)
            backend = f'backend "local" {{\n    workspace_dir = "{states}"\n  }}'
        (folder / "backend_override.tf").write_text(f"terraform {{\n  {backend}\n}}\n")
        self._terraform(terraform_cli.run, folder, "init", "-input=false", *options)
        select = ("workspace", "select", "-or-create", self.stage)
        self._terraform(terraform_cli.run, folder, *select)

    def _terraform(self, run: Callable[..., Result], folder: Path, *arguments: str) -> Result:
        """Run Terraform to its end, even if a signal arrives."""
        try:
            with terraform_cli.postponed_signals():
                return run(folder, self._environment(folder), *arguments)
        except TerraformError as error:
            raise StackError(str(error)) from None

    def _environment(self, folder: Path) -> dict[str, str]:
        data = {"TF_DATA_DIR": str(self.terraform_data)} if folder == self.copy else {}
        # TF_IN_AUTOMATION: Terraform doesn't suggest to run its own commands.
        return {**self.environment, **data, "TF_IN_AUTOMATION": "1"}
