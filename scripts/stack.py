"""Plans, applies and destroys the stack of a stage, in the workspace of its name.

Terraform runs on a copy of the files that it reads. Each stage has its own copy, in
build/terraform/STAGE: stages with different backends don't mix, and later edits and packages don't
change a saved plan. A command locks that folder while it runs.

Before Terraform plans anything, this module refuses a stage without a file, a package for another
stage, an undeclared variable, a destruction without consent, and a changed backend file.
"""

import fcntl
import json
import os
import re
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final, TypeVar

from devserver.arguments import Parser
from devserver.command import run_command
from scripts import credentials, running_emulation, terraform_cli, tfvars
from scripts.credentials import CredentialsError
from scripts.running_emulation import EmulationError
from scripts.terraform_cli import TerraformError

ROOT: Final = Path(__file__).parent.parent
GUARDED_STAGES: Final = ("prod",)
"""Whose destruction takes the stage's name, and not just a yes."""

LOCK_TIMEOUT: Final = "5s"
"""How long to wait for somebody else's apply before his lock is shown."""

UNDECLARED: Final = "Value for undeclared variable"
"""Terraform only warns of a misspelt name in a variables file."""

DEFAULT_REGION: Final = "us-east-1"
"""Of a stage whose file sets none: the default in terraform/variables.tf."""

BACKEND_CHANGED: Final = "-migrate-state"
"""An option that Terraform names if a folder's backend is not the one in its record."""

MOVING_STATE: Final = "see docs/how-to/manage-state.md#moving-a-state"

Result = TypeVar("Result")


class StackError(Exception):
    """The command is refused, or Terraform has failed; the message says why."""


@dataclass(frozen=True)
class Stack:
    """The stack of one stage in one copy of the project."""

    stage: str
    root: Path = ROOT

    @property
    def terraform_folder(self) -> Path:
        return self.root / "terraform"

    @property
    def environments(self) -> Path:
        return self.terraform_folder / "environments"

    @property
    def data_folder(self) -> Path:
        """All that is made for the stage, and the copy that Terraform runs on."""
        return self.root / "build" / "terraform" / self.stage

    @property
    def copy(self) -> Path:
        return self.data_folder / "terraform"

    @property
    def terraform_data(self) -> Path:
        """Terraform's own data for the copy, with its record of the backend that it last used.

        Outside build/, so that `make clean` doesn't remove that record.
        """
        return self.terraform_folder / ".terraform" / self.stage

    @property
    def state_folder(self) -> Path:
        """A folder without the configuration, to read the state without a package."""
        return self.data_folder / "state"

    @property
    def plan_file(self) -> Path:
        """What `apply` takes; nothing but `plan` writes it."""
        return self.data_folder / "plan.tfplan"

    @property
    def unconfirmed_plan_file(self) -> Path:
        """What `deploy` and `destroy` ask about."""
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
        return self.environments / f"{self.stage}.tfvars"

    @property
    def backend_file(self) -> Path:
        return self.environments / f"{self.stage}.s3.tfbackend"

    @cached_property
    def environment(self) -> dict[str, str]:
        return terraform_cli.environment()

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Lock the stage's folder. Raises: StackError if another command holds the lock."""
        self.data_folder.mkdir(parents=True, exist_ok=True)
        with (self.data_folder / "lock").open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise StackError(
                    f"somebody is at work on {self.stage} in this folder; wait until he is done"
                ) from None
            yield

    def check_stage(self) -> None:
        """Raises: StackError for a stage without a file, such as `default`."""
        stages = sorted(path.stem for path in self.environments.glob("*.tfvars"))
        if self.stage not in stages:
            raise StackError(
                f"there is no stage {self.stage!r}; the stages are {', '.join(stages)}"
            )

    def check_account(self) -> None:
        """Raises: StackError where the emulator's stage would be put into a real account."""
        if self.stage == running_emulation.STAGE and not _is_emulated():
            raise StackError(
                f"{self.stage} is for an emulator of AWS, and AWS_ENDPOINT_URL names none; "
                "to have one with the stack in it: make emulate"
            )

    def check_variables(self) -> None:
        """Raises: StackError if the stage's file sets a variable that the stack doesn't have."""
        unknown = tfvars.find_unknown(self.variables_file.read_text(), self.terraform_folder)
        if unknown:
            raise StackError(f"{_name(self.variables_file, self.terraform_folder)} sets {unknown}")

    def check_credentials(self) -> None:
        """Raises: StackError unless AWS accepts the credentials, in the stage's region."""
        text = self.variables_file.read_text()
        try:
            credentials.check(tfvars.find_string(text, "region") or DEFAULT_REGION)
        except CredentialsError as error:
            raise StackError(str(error)) from None

    def check_package(self) -> None:
        """Raises: StackError unless the package that was copied was made for this stage."""
        path = self.copy / "modules" / "app" / "chalice.tf.json"
        if not path.exists():
            raise StackError(f"there is no package; make one: make package STAGE={self.stage}")
        functions = json.loads(path.read_text())["resource"]["aws_lambda_function"]
        tags = {function["tags"]["aws-chalice"] for function in functions.values()}
        made_for = {re.sub(r".*stage=([^:]*):.*", r"\1", tag) for tag in tags}
        if made_for != {self.stage}:
            raise StackError(
                f"the package was made for stage {', '.join(sorted(made_for))}, not {self.stage}; "
                f"make one: make package STAGE={self.stage}"
            )
        self._check_python({function["runtime"] for function in functions.values()})

    def _check_python(self, runtimes: set[str]) -> None:
        """Raises: StackError unless the package's Python is the one that the stage's file sets."""
        text = (self.copy / "environments" / f"{self.stage}.tfvars").read_text()
        version = tfvars.find_string(text, "python_version")
        if version and runtimes != {f"python{version}"}:
            raise StackError(
                f"the package was made by {', '.join(sorted(runtimes))}, and {self.stage} runs on "
                f"Python {version}; make another: "
                f"make PYTHON=python{version} package STAGE={self.stage}"
            )

    def check_plan(self) -> None:
        """Raises: StackError unless a plan was saved, not yet applied, and of what is there now."""
        if not self.plan_file.exists():
            raise StackError(f"there is no plan; make one: make plan STAGE={self.stage}")
        changed = terraform_cli.find_changes(self.root, self.data_folder)
        if changed:
            raise StackError(
                f"changed since the plan was made: {', '.join(map(str, changed))}; "
                f"make another: make plan STAGE={self.stage}"
            )

    def check_state(self) -> None:
        """Raises: StackError while there is a state that Terraform could not save."""
        if self.unsaved_state.exists():
            raise StackError(
                f"{_name(self.unsaved_state, self.root)} has the state that Terraform could not "
                f"save. Push it, and remove the file: {MOVING_STATE}"
            )

    def make_copy(self) -> None:
        """Replace the copy of the files that Terraform reads, and remove a plan of the old copy."""
        self.plan_file.unlink(missing_ok=True)
        for file in terraform_cli.stack_files(self.data_folder):
            (self.data_folder / file).unlink()
        terraform_cli.copy_stack(self.root, self.data_folder)

    def enter(self) -> None:
        """Initialize Terraform in the copy. Raises: StackError, also for a changed backend file."""
        try:
            self._open(self.copy, *terraform_cli.init_arguments())
        except StackError as error:
            if BACKEND_CHANGED not in str(error):
                raise
            raise StackError(
                f"the backend file of {self.stage} has changed since Terraform last used it. "
                f"Change it back, and move the state: {MOVING_STATE}"
            ) from None

    def plan(self) -> None:
        """Save a plan for `apply`. Raises: StackError."""
        self.save_plan(self.plan_file)
        print(f"Nothing has changed yet. Apply this plan: make apply STAGE={self.stage}")

    def save_plan(self, file: Path, *arguments: str) -> None:
        """Raises: StackError, and leaves no plan then."""
        try:
            said = self._terraform(
                terraform_cli.show,
                self.copy,
                "plan",
                "-input=false",
                f"-lock-timeout={LOCK_TIMEOUT}",
                f"-var-file=environments/{self.stage}.tfvars",
                f"-out={file}",
                *arguments,
            )
            if UNDECLARED in said:
                raise StackError(
                    f"environments/{self.stage}.tfvars sets a variable that there is not"
                )
        except BaseException:
            file.unlink(missing_ok=True)
            raise

    def apply(self, file: Path) -> None:
        """Apply just this saved plan, once. Raises: StackError."""
        try:
            options = ("-input=false", f"-lock-timeout={LOCK_TIMEOUT}")
            self._terraform(terraform_cli.show, self.copy, "apply", *options, str(file))
        finally:
            file.unlink(missing_ok=True)
            self.keep_unsaved_state()

    def find_outputs(self) -> Mapping[str, Any]:
        """Return the outputs by their names, of an emulation that runs in this folder too.

        Raises: StackError, also if the stage is not deployed; EmulationError.
        """
        if self.stage == running_emulation.STAGE:
            running = running_emulation.find_unless_another_is_named()
            if running:
                return running.outputs
        outputs = self.read_outputs()
        if not outputs:
            raise StackError(
                f"{self.stage} is not deployed; deploy it: make deploy STAGE={self.stage}"
            )
        return outputs

    def read_outputs(self) -> dict[str, Any]:
        """Return the outputs by their names; none of a stage that is not deployed.

        Leaves the copy, and a plan of it, alone.

        Raises: StackError.
        """
        self.check_stage()
        with self.lock():
            if self.backend_file.exists():
                self.check_credentials()
            self._open(self.state_folder, "-reconfigure")
            return self._terraform(terraform_cli.read_outputs, self.state_folder)

    def keep_unsaved_state(self) -> None:
        """Take the state that Terraform could not save out of the copy, which is made anew.

        Source: "Manual State Pull/Push" and errored.tfstate, Terraform CLI.
        """
        errored = self.copy / "errored.tfstate"
        if errored.exists():
            errored.replace(self.unsaved_state)
            print(
                f"stack: the state could not be saved and is in "
                f"{_name(self.unsaved_state, self.root)}; push it: {MOVING_STATE}",
                file=sys.stderr,
            )

    def _open(self, folder: Path, *arguments: str) -> None:
        """Initialize Terraform in a folder, and select the stage's workspace, or create it.

        A backend file alone doesn't say that the backend is S3, so this writes an override file.
        The path of the local states is relative: you can move the project. Source: "Override Files"
        and "Partial Configuration", Terraform language.
        """
        self.local_states.mkdir(exist_ok=True)
        folder.mkdir(parents=True, exist_ok=True)
        backend = 'backend "s3" {}'
        if self.backend_file.exists():
            arguments = (f"-backend-config={self.backend_file}", *arguments)
        else:
            states = os.path.relpath(self.local_states, folder)
            backend = f'backend "local" {{\n    workspace_dir = "{states}"\n  }}'
        (folder / "backend_override.tf").write_text(f"terraform {{\n  {backend}\n}}\n")
        self._run(folder, "init", "-input=false", *arguments)
        self._run(folder, "workspace", "select", "-or-create", self.stage)

    def _run(self, folder: Path, *arguments: str) -> str:
        return self._terraform(terraform_cli.run, folder, *arguments)

    def _terraform(self, run: Callable[..., Result], folder: Path, *arguments: str) -> Result:
        """Run Terraform to its end, also if a signal arrives. Raises: StackError."""
        try:
            with terraform_cli.patience():
                return run(folder, self._environment(folder), *arguments)
        except TerraformError as error:
            raise StackError(str(error)) from None

    def _environment(self, folder: Path) -> dict[str, str]:
        data = {"TF_DATA_DIR": str(self.terraform_data)} if folder == self.copy else {}
        # TF_IN_AUTOMATION: no advice to run commands that are not ours.
        return {**self.environment, **data, "TF_IN_AUTOMATION": "1"}


def main() -> int:
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup has it
            signal.signal(number, signal.default_int_handler)
    parser = Parser(prog="python -m scripts.stack", description=__doc__)
    parser.add_argument("verb", choices=["plan", "apply", "deploy", "destroy", "output"])
    parser.add_argument("stage")
    parser.add_argument("name", nargs="?", help="of one output, to be printed bare")
    parser.add_argument("--confirm", metavar="STAGE", help="deploy or destroy it without asking")
    options = parser.parse_args()
    if options.name and options.verb != "output":
        parser.error(f"{options.verb} takes one stage")
    try:
        run(Stack(options.stage), options.verb, options.name, options.confirm)
    except (EmulationError, StackError) as error:
        print(f"stack: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def run(stack: Stack, verb: str, name: str | None = None, confirmed: str | None = None) -> None:
    """Raises: StackError, EmulationError."""
    stack.check_stage()
    if verb == "output":
        print(format_outputs(stack, name))
        return
    stack.check_account()
    check_consent(verb, stack.stage, confirmed)
    if verb != "apply":
        stack.check_variables()
    with stack.lock():
        stack.keep_unsaved_state()
        if verb == "apply":
            stack.check_plan()
            stack.check_credentials()
            stack.apply(stack.plan_file)
        else:
            prepare(stack, verb)
            if verb == "plan":
                stack.plan()
            else:
                change(stack, verb, is_confirmed=confirmed is not None)


def format_outputs(stack: Stack, name: str | None) -> str:
    """Format a stage's outputs, or one of them bare.

    Raises: StackError if there is none of that name, and as Stack.find_outputs.
    """
    outputs = stack.find_outputs()
    if name is None:
        return "\n".join(f"{it} = {json.dumps(outputs[it], indent=2)}" for it in sorted(outputs))
    if name not in outputs:
        raise StackError(
            f"{stack.stage} has no output {name!r}; its outputs are {', '.join(sorted(outputs))}"
        )
    value = outputs[name]
    return value if isinstance(value, str) else json.dumps(value)


def prepare(stack: Stack, verb: str) -> None:
    """Make what is planned from: a copy of what is there now, on the state that it had last.

    Raises: StackError.
    """
    stack.make_copy()
    if verb != "destroy":
        stack.check_package()
    stack.check_credentials()
    stack.enter()
    stack.check_state()


def change(stack: Stack, verb: str, *, is_confirmed: bool) -> None:
    """Plan, ask and apply. No plan is left, however that ends. Raises: StackError."""
    file = stack.unconfirmed_plan_file
    try:
        stack.save_plan(file, *(["-destroy"] if verb == "destroy" else []))
        if not is_confirmed and is_terminal():
            confirm(*question(verb, stack.stage))
        stack.apply(file)
    finally:
        file.unlink(missing_ok=True)


def check_consent(verb: str, stage: str, confirmed: str | None) -> None:
    """Refuse before anything is planned what nobody can be asked about. Raises: StackError.

    Without a terminal, a stage is deployed unasked unless it is guarded; none is destroyed.
    """
    if confirmed not in (None, stage):
        raise StackError(f"{confirmed} was confirmed, and not {stage}: --confirm {stage}")
    takes_name = verb == "destroy" or (verb == "deploy" and stage in GUARDED_STAGES)
    if takes_name and confirmed is None and not is_terminal():
        raise StackError(
            f"to {verb} {stage} where nobody can be asked, say so: "
            f"--confirm {stage} (make {verb} STAGE={stage} CONFIRM={stage})"
        )


def question(verb: str, stage: str) -> tuple[str, str]:
    """Return what is asked, and the answer that agrees: a yes, or a guarded stage's name."""
    if verb == "deploy":
        return f"Apply this to {stage}?", "yes"
    return f"Destroy all of {stage}?", stage if stage in GUARDED_STAGES else "yes"


def confirm(asked: str, wanted: str) -> None:
    """Raises: StackError unless the one at the terminal agrees; an end of input is a no."""
    try:
        answer = input(f"{asked} ({wanted}) ")
    except EOFError:
        answer = ""
    if answer != wanted:
        raise StackError("nothing was changed")


def is_terminal() -> bool:
    """Say whether somebody sits there to be asked."""
    return sys.stdin is not None and not sys.stdin.closed and sys.stdin.isatty()


def _is_emulated() -> bool:
    """Source: AWS SDKs and Tools Reference Guide, "Service-specific endpoints"."""
    is_ignored = os.environ.get("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "").lower() == "true"
    return bool(os.environ.get("AWS_ENDPOINT_URL")) and not is_ignored


def _name(path: Path, root: Path) -> str:
    return str(path.relative_to(root))


if __name__ == "__main__":
    run_command(main)
