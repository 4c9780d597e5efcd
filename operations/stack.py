"""Changes the stack of a stage, in the Terraform workspace of the same name.

Before Terraform plans anything, this command refuses a stage without a file, a package for another
stage, an undeclared variable, an unconfirmed destruction, and a changed backend file.
"""

import signal
import sys

from local_gateway.arguments import Parser
from local_gateway.command import run_command
from operations import consent
from operations.consent import GUARDED_STAGES, ConsentError
from operations.running_emulation import EmulationError
from operations.stage_checks import (
    check_account,
    check_credentials,
    check_package,
    check_plan,
    check_stage,
    check_state,
    check_variables,
)
from operations.stage_outputs import format_outputs
from operations.terraform_stack import Stack, StackError


def main() -> int:
    """Run the command that the arguments name; return its exit code."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # nohup ignores SIGHUP
            signal.signal(number, signal.default_int_handler)
    parser = Parser(prog="python -m operations.stack", description=__doc__)
    parser.add_argument("verb", choices=["plan", "apply", "deploy", "destroy", "output"])
    parser.add_argument("stage")
    parser.add_argument("name", nargs="?", help="print only the value of this output")
    parser.add_argument("--confirm", metavar="STAGE", help="deploy or destroy it without asking")
    options = parser.parse_args()
    if options.name and options.verb != "output":
        parser.error(f"{options.verb} takes one stage")
    try:
        run(Stack(options.stage), options.verb, options.name, options.confirm)
    except (ConsentError, EmulationError, StackError) as error:
        print(f"stack: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def run(stack: Stack, verb: str, name: str | None = None, confirmed: str | None = None) -> None:
    """Run a verb for a stage.

    Args:
        stack: The stage's stack.
        verb: One of the choices of the command.
        name: The output to print, or None for all.
        confirmed: The stage that `--confirm` names.

    Raises:
        ConsentError: The change was not confirmed.
        EmulationError: `output` found no running emulation.
        StackError: A check has failed, or Terraform has.
    """
    check_stage(stack)
    if verb == "output":
        print(format_outputs(stack, name))
        return
    check_account(stack)
    check_consent(verb, stack.stage, confirmed)
    if verb != "apply":
        check_variables(stack)
    with stack.lock():
        stack.keep_unsaved_state()
        if verb == "apply":
            check_plan(stack)
            check_credentials(stack)
            stack.apply(stack.plan_file)
        else:
            prepare(stack, needs_package=verb != "destroy")
            if verb == "plan":
                plan(stack)
            else:
                change(stack, verb, is_confirmed=confirmed is not None)


def check_consent(verb: str, stage: str, confirmed: str | None) -> None:
    """Check, before planning, that the change can be confirmed.

    Without a terminal, only the deployment of an unguarded stage needs no confirmation.

    Raises:
        ConsentError: Another stage was confirmed, or there is no terminal to ask at.
    """
    consent.check_name(stage, confirmed)
    must_confirm = verb == "destroy" or (verb == "deploy" and stage in GUARDED_STAGES)
    if must_confirm and confirmed is None:
        consent.check_terminal(verb, f"make {verb} STAGE={stage}", stage)


def prepare(stack: Stack, *, needs_package: bool) -> None:
    """Copy the files that Terraform reads, and initialize Terraform in the copy.

    Raises:
        StackError: A check has failed, or Terraform has.
    """
    stack.make_copy()
    if needs_package:
        check_package(stack)
    check_credentials(stack)
    stack.initialize()
    check_state(stack)


def plan(stack: Stack) -> None:
    """Save a plan for `apply`.

    Raises:
        StackError: Terraform has failed.
    """
    stack.save_plan(stack.plan_file)
    print(f"Nothing has changed yet. Apply this plan: make apply STAGE={stack.stage}")


def change(stack: Stack, verb: str, *, is_confirmed: bool) -> None:
    """Plan, ask and apply. The plan is removed in every case.

    Raises:
        ConsentError: The answer was not a yes.
        StackError: Terraform has failed.
    """
    file = stack.unconfirmed_plan_file
    try:
        stack.save_plan(file, *(["-destroy"] if verb == "destroy" else []))
        if not is_confirmed and consent.is_terminal():
            consent.ask(*question(verb, stack.stage))
        stack.apply(file)
    finally:
        file.unlink(missing_ok=True)


def question(verb: str, stage: str) -> tuple[str, str]:
    """Return the question, and the answer that confirms: "yes", or a guarded stage's name."""
    if verb == "deploy":
        return f"Apply this to {stage}?", "yes"
    return f"Destroy all of {stage}?", stage if stage in GUARDED_STAGES else "yes"


if __name__ == "__main__":
    run_command(main)
