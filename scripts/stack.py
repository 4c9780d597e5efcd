"""Plans, applies and destroys the stack of a stage, in the workspace of its name.

Terraform runs on a copy of what it reads, one for each stage, in build/terraform/STAGE: stages with
different backends do not mix, and what is applied is what was planned, whatever has been edited or
packaged since. Whoever works on a stage locks that folder for as long as he does.

What could go to the wrong stage, or lose what stands, is refused before Terraform plans anything:
a stage without a file, a package that was made for another, a variable that nobody declares, a
destruction that nobody can be asked about, a state that is left behind where it was.
"""

import fcntl
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from devserver.arguments import Parser
from devserver.command import run_command
from scripts import credentials, running_emulation, terraform_cli, tfvars
from scripts.credentials import CredentialsError
from scripts.running_emulation import EmulationError

ROOT: Final = Path(__file__).parent.parent
GUARDED_STAGES: Final = ("prod",)
"""Whose destruction takes the stage's name, and not just a yes."""

EMULATED_STAGE: Final = "local"
"""Which is for an emulator, and has no business in a real account."""

LOCK_TIMEOUT: Final = "5s"
"""How long to wait for somebody else's apply before his lock is shown."""

UNDECLARED: Final = "Value for undeclared variable"
"""Terraform only warns of a misspelt name in a variables file."""

DEFAULT_REGION: Final = "us-east-1"
"""Of a stage whose file sets none: the default in terraform/variables.tf."""

_WITHOUT_COLOUR: Final = ("output", "workspace", "state")
"""Terraform's commands that know no -no-color, or print none."""


class StackError(Exception):
    """What is asked for is refused, or Terraform has failed and said why."""


@dataclass(frozen=True, slots=True)
class State:
    """As much of a Terraform state as tells whether another has left it behind."""

    text: str
    lineage: str
    serial: int
    resource_count: int

    @classmethod
    def parse(cls, text: str) -> "State":
        """Parse a state file; an empty one is an empty state, as Terraform has it."""
        state = json.loads(text) if text.strip() else {}
        managed = [item for item in state.get("resources", []) if item["mode"] == "managed"]
        return cls(text, state.get("lineage", ""), state.get("serial", 0), len(managed))

    def is_missing_from(self, other: "State") -> bool:
        """Say whether it has resources, and the other is neither it nor has come out of it."""
        is_descended = self.lineage == other.lineage and self.serial <= other.serial
        return self.resource_count > 0 and not is_descended


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
    def state_folder(self) -> Path:
        """From where the state is seen without the configuration, and so without a package."""
        return self.data_folder / "state" / "terraform"

    @property
    def plan_file(self) -> Path:
        """What `apply` takes; nothing but `plan` writes it."""
        return self.data_folder / "plan.tfplan"

    @property
    def unconfirmed_plan_file(self) -> Path:
        """What `deploy` and `destroy` ask about."""
        return self.data_folder / "unconfirmed.tfplan"

    @property
    def local_state(self) -> Path:
        """Where Terraform keeps the stage's state if no backend is named."""
        return self.terraform_folder / "terraform.tfstate.d" / self.stage / "terraform.tfstate"

    @property
    def unsaved_state(self) -> Path:
        """Where a state is kept that Terraform could not save in its backend."""
        return self.terraform_folder / f"{self.stage}.errored.tfstate"

    @property
    def variables_file(self) -> Path:
        return self.environments / f"{self.stage}.tfvars"

    @property
    def backend_file(self) -> Path:
        return self.environments / f"{self.stage}.s3.tfbackend"

    @property
    def former_backend_file(self) -> Path:
        """The backend file that the stage was last used with. Not in build/, which can go."""
        folder = self.terraform_folder / "terraform.tfstate.backends"
        return folder / self.backend_file.name

    @cached_property
    def environment(self) -> dict[str, str]:
        return terraform_cli.environment()

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Keep others from the stage's folder. Raises: StackError at once if somebody is there."""
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
        if self.stage == EMULATED_STAGE and not _is_emulated():
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
            credentials.check(tfvars.find_region(text, DEFAULT_REGION))
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
        found = re.search(r'^\s*python_version\s*=\s*"([^"]*)"', text, re.MULTILINE)
        if found and runtimes != {f"python{found[1]}"}:
            raise StackError(
                f"the package was made by {', '.join(sorted(runtimes))}, and {self.stage} runs on "
                f"Python {found[1]}; make another: "
                f"make PYTHON=python{found[1]} package STAGE={self.stage}"
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
        """Raises: StackError if the stage's state is left behind in another place."""
        for place, _ in self._states_left_behind(self.copy):
            raise StackError(
                f"{self.stage} has its resources in {_name(place, self.root)}, "
                "which is not the state that Terraform would go on from. "
                f"To move it to where the stage's state is now: make migrate STAGE={self.stage}. "
                "If nothing of it is there any more, remove that file"
            )
        self._remember_backend()

    def make_copy(self) -> None:
        """Copy anew what Terraform reads. A plan of what was copied before is void."""
        self.plan_file.unlink(missing_ok=True)
        for file in terraform_cli.stack_files(self.data_folder):
            (self.data_folder / file).unlink()
        terraform_cli.copy_stack(self.root, self.data_folder)

    def enter(self) -> None:
        """Initialize Terraform, and select the stage's workspace, which is made if need be."""
        self._open(self.copy, self.backend_file, *terraform_cli.init_arguments())

    def plan(self) -> None:
        """Save a plan for `apply`. Raises: StackError."""
        self.save_plan(self.plan_file)
        print(f"Nothing has changed yet. Apply this plan: make apply STAGE={self.stage}")

    def save_plan(self, file: Path, *arguments: str) -> None:
        """Raises: StackError, and leaves no plan then."""
        try:
            said = self._show(
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
            self._show("apply", "-input=false", f"-lock-timeout={LOCK_TIMEOUT}", str(file))
        finally:
            file.unlink(missing_ok=True)
            self.keep_unsaved_state()

    def find_outputs(self) -> Mapping[str, Any]:
        """Return the outputs by their names, of an emulation that runs in this folder too.

        Raises: StackError, also if the stage is not deployed; EmulationError.
        """
        if self.stage == EMULATED_STAGE:
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
            self._open(self.state_folder, self.backend_file)
            outputs = json.loads(self._run(self.state_folder, "output", "-json"))
        return {name: output["value"] for name, output in outputs.items()}

    def migrate(self) -> None:
        """Bring the state that is left behind in another place to where it is looked for now.

        It stays there too, and is known for what it is by its lineage. Raises: StackError if there
        is none or more than one, or if it would replace another state with resources.
        """
        self._open(self.state_folder, self.backend_file)
        left_behind = list(self._states_left_behind(self.state_folder))
        if not left_behind:
            raise StackError("nothing is to be moved: the state is where it is looked for")
        place, state = left_behind.pop()
        if left_behind:
            others = ", ".join(_name(other, self.root) for other, _ in left_behind)
            raise StackError(
                f"there is a state in {_name(place, self.root)}, and in {others}; "
                "remove what is not to be moved"
            )
        self._push(state)
        self._remember_backend()
        print(f"Moved from {_name(place, self.root)}. See: make plan STAGE={self.stage}")

    def _states_left_behind(self, folder: Path) -> Iterator[tuple[Path, State]]:
        """Yield states in other places that the one seen from a folder is not, by their places.

        Terraform itself notices a change of backend only where its own record of the former one
        has survived, and never that of a stage without a backend. Source: "Backend initialization",
        Terraform CLI.
        """
        current = self._pull(folder)
        for place, state in self._known_states():
            if state.is_missing_from(current):
                yield place, state

    def _known_states(self) -> Iterator[tuple[Path, State]]:
        for file in (self.unsaved_state, self.local_state):
            if file.exists():
                yield file, State.parse(file.read_text())
        former = self.former_backend_file
        if former.exists() and former.read_bytes() != _read_bytes(self.backend_file):
            yield former, self._pull_former_state()

    def _pull_former_state(self) -> State:
        """Raises: StackError if it cannot be seen."""
        folder = self.data_folder / "former" / "terraform"
        try:
            self._open(folder, self.former_backend_file)
            return self._pull(folder)
        except StackError as error:
            raise StackError(
                f"{error}\nThe bucket that {self.stage} had its state in cannot be reached, so "
                "nobody knows what is left there. If nothing is, remove "
                f"{_name(self.former_backend_file, self.root)}"
            ) from None

    def _pull(self, folder: Path) -> State:
        return State.parse(self._run(folder, "state", "pull"))

    def _push(self, state: State) -> None:
        """Put a state where the stage's is. Terraform refuses if another with resources is there.

        Source: "terraform state push", Terraform CLI.
        """
        file = self.data_folder / "migrated.tfstate"
        try:
            file.touch(mode=0o600)  # There may be secrets in it.
            file.write_text(state.text)
            self._run(self.state_folder, "state", "push", str(file))
        finally:
            file.unlink(missing_ok=True)

    def _remember_backend(self) -> None:
        if self.backend_file.exists():
            self.former_backend_file.parent.mkdir(exist_ok=True)
            shutil.copy(self.backend_file, self.former_backend_file)
        else:
            self.former_backend_file.unlink(missing_ok=True)

    def keep_unsaved_state(self) -> None:
        """Take the state that Terraform could not save out of the copy, which is made anew.

        Source: "Manual State Pull/Push" and errored.tfstate, Terraform CLI.
        """
        errored = self.copy / "errored.tfstate"
        if errored.exists():
            errored.replace(self.unsaved_state)
            print(
                f"stack: the state could not be saved and is in "
                f"{_name(self.unsaved_state, self.root)}; once it can: "
                f"make migrate STAGE={self.stage}",
                file=sys.stderr,
            )

    def _open(self, folder: Path, backend_file: Path, *arguments: str) -> None:
        """Have Terraform find the stage's state in a folder: as a backend file says, else here.

        Terraform takes the kind of a backend from its configuration alone: hence a file that is
        written for the stages that have one. Source: "Override Files" and "Partial Configuration",
        Terraform language. Its record of the backend it had last is removed, which -reconfigure
        does not do for a stage that has none any more; what may be lost by that, check_state sees.
        """
        folder.mkdir(parents=True, exist_ok=True)
        override, states = folder / "backend_override.tf", folder / "terraform.tfstate.d"
        for path in (override, states):
            path.unlink(missing_ok=True)
        if backend_file.exists():
            override.write_text('terraform {\n  backend "s3" {}\n}\n')
            arguments = (f"-backend-config={backend_file}", *arguments)
        else:
            shared = self.terraform_folder / "terraform.tfstate.d"
            shared.mkdir(exist_ok=True)
            states.symlink_to(shared, target_is_directory=True)
        (folder.parent / "data" / "terraform.tfstate").unlink(missing_ok=True)
        self._run(folder, "init", "-input=false", *arguments)
        self._run(folder, "workspace", "select", "-or-create", self.stage)

    def _run(self, folder: Path, *arguments: str) -> str:
        """Run Terraform in a folder, and return what it printed. Raises: StackError."""
        with terraform_cli.patience():
            done = subprocess.run(  # noqa: S603
                self._command(folder, *arguments),
                env=self._environment(folder),
                capture_output=True,
                text=True,
                check=False,
            )
        if done.returncode:
            words = f"{done.stdout}\n{done.stderr}".strip()
            raise StackError(f"terraform {arguments[0]} has failed\n{words}")
        return done.stdout

    def _show(self, *arguments: str) -> str:
        """Run Terraform in the copy, show what it says while it says it, and return that.

        Raises: StackError.
        """
        said = []
        with (
            terraform_cli.patience(),
            subprocess.Popen(  # noqa: S603
                self._command(self.copy, *arguments),
                env=self._environment(self.copy),
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            ) as process,
        ):
            assert process.stdout
            for line in process.stdout:
                said.append(line)
                _print_while_read(line)
        if process.returncode:
            raise StackError(f"terraform {arguments[0]} has failed")
        return "".join(said)

    def _command(self, folder: Path, command: str, *arguments: str) -> Sequence[str]:
        """Raises: StackError without Terraform."""
        executable = terraform_cli.find_terraform()
        if executable is None:
            raise StackError("terraform is not on the path")
        colour = [] if sys.stdout.isatty() or command in _WITHOUT_COLOUR else ["-no-color"]
        return [str(executable), f"-chdir={folder}", command, *colour, *arguments]

    def _environment(self, folder: Path) -> dict[str, str]:
        return {
            **self.environment,
            "TF_DATA_DIR": str(folder.parent / "data"),
            "TF_IN_AUTOMATION": "1",  # no advice to run commands that are not ours
        }


def main() -> int:
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup has it
            signal.signal(number, signal.default_int_handler)
    parser = Parser(prog="python -m scripts.stack", description=__doc__)
    parser.add_argument("verb", choices=["plan", "apply", "deploy", "destroy", "migrate", "output"])
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
    if verb not in ("apply", "migrate"):
        stack.check_variables()
    with stack.lock():
        stack.keep_unsaved_state()
        if verb == "migrate":
            stack.check_credentials()
            stack.migrate()
        elif verb == "apply":
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


def _print_while_read(line: str) -> None:
    """Print, or be silent from now on if nobody reads: Terraform is to be heard out all the same.

    With its own output gone it would die of SIGPIPE half-way through an apply.
    """
    try:
        print(line, end="", flush=True)
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _name(path: Path, root: Path) -> str:
    return str(path.relative_to(root))


def _read_bytes(path: Path) -> bytes | None:
    return path.read_bytes() if path.exists() else None


if __name__ == "__main__":
    run_command(main)
