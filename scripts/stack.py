"""Plans, applies and destroys the stack of a stage, in the workspace of its name.

What could go to the wrong stage is refused before Terraform plans anything: a stage without a file
in terraform/environments, a package that was made for another, a variable that nobody declares.
"""

import argparse
import json
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from scripts import terraform_cli

ROOT: Final = Path(__file__).parent.parent
GUARDED_STAGES: Final = ("prod",)
"""Whose destruction takes the stage's name, and not just a yes."""

LOCK_TIMEOUT: Final = "5s"
"""How long to wait for somebody else's apply before his lock is shown."""

UNDECLARED: Final = "Value for undeclared variable"
"""Terraform only warns of a misspelt name in a variables file."""


_WITHOUT_COLOUR: Final = ("output", "workspace")
"""Terraform's commands that know no -no-color, or print none."""


class StackError(Exception):
    """What is asked for is refused, or Terraform has failed and said why."""


@dataclass(frozen=True, slots=True)
class Stack:
    """The stack of one stage in one copy of the project.

    Terraform's own data and the saved plan stand in a folder for each stage, so that stages with
    different backends do not mix.
    """

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
        return self.root / "build" / "terraform" / self.stage

    @property
    def plan_file(self) -> Path:
        return self.data_folder / "plan.tfplan"

    def check_stage(self) -> None:
        """Raises: StackError for a stage without a file, such as `default`."""
        stages = sorted(path.stem for path in self.environments.glob("*.tfvars"))
        if self.stage not in stages:
            raise StackError(
                f"there is no stage {self.stage!r}; the stages are {', '.join(stages)}"
            )

    def check_package(self) -> None:
        """Raises: StackError unless the package that lies there was made for this stage."""
        path = self.terraform_folder / "modules" / "app" / "chalice.tf.json"
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

    def enter(self) -> None:
        """Initialize Terraform, and select the stage's workspace, which is made if need be."""
        self.data_folder.mkdir(parents=True, exist_ok=True)
        provider = terraform_cli.init_arguments()
        self._run(
            "init", "-input=false", "-reconfigure", *self._backend(), *provider, is_quiet=True
        )
        self._run("workspace", "select", "-or-create", self.stage, is_quiet=True)

    def plan(self, *, is_destroy: bool = False) -> None:
        """Save a plan for `apply`. Raises: StackError."""
        self.plan_file.unlink(missing_ok=True)
        said = self._run(
            "plan",
            "-input=false",
            f"-lock-timeout={LOCK_TIMEOUT}",
            f"-var-file=environments/{self.stage}.tfvars",
            f"-out={self.plan_file}",
            *(["-destroy"] if is_destroy else []),
        )
        if UNDECLARED in said:
            self.plan_file.unlink(missing_ok=True)
            raise StackError(f"environments/{self.stage}.tfvars sets a variable that there is not")
        if not is_destroy:
            print(f"Nothing has changed yet. Apply this plan: make apply STAGE={self.stage}")

    def check_plan(self) -> None:
        """Raises: StackError unless a plan was saved, and not yet applied."""
        if not self.plan_file.exists():
            raise StackError(f"there is no plan; make one: make plan STAGE={self.stage}")

    def apply(self) -> None:
        """Apply just the saved plan, once. Raises: StackError."""
        try:
            self._run("apply", "-input=false", f"-lock-timeout={LOCK_TIMEOUT}", str(self.plan_file))
        finally:
            self.plan_file.unlink(missing_ok=True)

    def output(self, *names: str) -> None:
        """Print the outputs, or one of them bare."""
        self._run("output", *(["-raw", *names] if names else []))

    def _backend(self) -> Sequence[str]:
        """Say where the state is: as the stage's backend file says, else on this machine.

        Terraform takes the kind of a backend from its configuration alone, and here some stages
        have one and others do not: hence a file that is written for the one and removed for the
        other. Source: "Override Files" and "Partial Configuration", Terraform language.
        """
        override = self.terraform_folder / "backend_override.tf"
        file = self.environments / f"{self.stage}.s3.tfbackend"
        if not file.exists():
            override.unlink(missing_ok=True)
            return []
        override.write_text('terraform {\n  backend "s3" {}\n}\n')
        return [f"-backend-config={file}"]

    def _run(self, *arguments: str, is_quiet: bool = False) -> str:
        """Run Terraform, show what it says while it says it, and return it.

        Where `is_quiet`, only what a failure says is shown. Raises: StackError.
        """
        executable = terraform_cli.find_terraform()
        if executable is None:
            raise StackError("terraform is not on the path")
        environment = {
            **terraform_cli.environment(),
            "TF_DATA_DIR": str(self.data_folder / "data"),
            "TF_IN_AUTOMATION": "1",  # no advice to run commands that are not ours
        }
        colour = [] if sys.stdout.isatty() or arguments[0] in _WITHOUT_COLOUR else ["-no-color"]
        with (
            subprocess.Popen(  # noqa: S603
                [
                    str(executable),
                    f"-chdir={self.terraform_folder}",
                    arguments[0],
                    *colour,
                    *arguments[1:],
                ],
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            ) as process
        ):
            assert process.stdout
            said = []
            for line in process.stdout:
                said.append(line)
                if not is_quiet:
                    print(line, end="", flush=True)
        if process.returncode:
            quiet_words = "".join(said) if is_quiet else ""
            raise StackError(f"terraform {arguments[0]} has failed\n{quiet_words}".strip())
        return "".join(said)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m scripts.stack", description=__doc__)
    parser.add_argument("verb", choices=["plan", "apply", "deploy", "destroy", "output"])
    parser.add_argument("stage")
    parser.add_argument("name", nargs="?", help="of one output, to be printed bare")
    parser.add_argument("--confirm", metavar="STAGE", help="destroy this stage without asking")
    options = parser.parse_args()
    try:
        run(Stack(options.stage), options.verb, options.name, options.confirm)
    except StackError as error:
        print(f"stack: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def run(stack: Stack, verb: str, name: str | None = None, confirmed: str | None = None) -> None:
    """Raises: StackError."""
    stack.check_stage()
    if verb in ("plan", "deploy"):
        stack.check_package()
    if verb == "apply":
        stack.check_plan()
    stack.enter()
    if verb in ("plan", "deploy", "destroy"):
        stack.plan(is_destroy=verb == "destroy")
    if verb == "deploy":
        confirm(f"Apply this to {stack.stage}?", "yes")
    elif verb == "destroy":
        confirm_destruction(stack.stage, confirmed)
    if verb in ("apply", "deploy", "destroy"):
        stack.apply()
    if verb == "output":
        stack.output(*([name] if name else []))


def confirm(question: str, wanted: str) -> None:
    """Ask where a person sits there. Raises: StackError if he does not agree."""
    if sys.stdin.isatty() and input(f"{question} ({wanted}) ") != wanted:
        raise StackError("nothing was changed")


def confirm_destruction(stage: str, confirmed: str | None) -> None:
    """Ask for a yes, or for a guarded stage's name. Raises: StackError."""
    if confirmed == stage:
        return
    if stage in GUARDED_STAGES and not sys.stdin.isatty():
        raise StackError(f"to destroy {stage}, say so: --confirm {stage}")
    wanted = stage if stage in GUARDED_STAGES else "yes"
    confirm(f"Destroy all of {stage}?", wanted)


if __name__ == "__main__":
    sys.exit(main())
