"""The Terraform outputs of a stage."""

import json
from collections.abc import Mapping
from typing import Any

from operations import running_emulation
from operations.stage_checks import check_credentials, check_stage
from operations.terraform_stack import Stack, StackError


def read_outputs(stack: Stack) -> dict[str, Any]:
    """Return a stage's outputs by their names. They are empty if the stage isn't deployed.

    Raises:
        StackError: The stage has no file, AWS doesn't accept the credentials, another command is
            running for the stage, or Terraform has failed.
    """
    check_stage(stack)
    with stack.lock():
        if stack.backend_file.exists():
            check_credentials(stack)
        return stack.read_outputs_of_state()


def get_outputs(stack: Stack) -> Mapping[str, Any]:
    """Return the outputs of a deployed stage, or of the emulation that runs in this folder.

    Raises:
        StackError: As `read_outputs`, and if the stage isn't deployed.
        EmulationError: The stage is `local`, and no emulation is running.
    """
    if stack.stage == running_emulation.STAGE:
        running = running_emulation.find_unless_another_is_named()
        if running:
            return running.outputs
    outputs = read_outputs(stack)
    if not outputs:
        raise StackError(
            f"{stack.stage} is not deployed; deploy it: make deploy STAGE={stack.stage}"
        )
    return outputs


def format_outputs(stack: Stack, name: str | None) -> str:
    """Format all outputs of a stage, or the value of one.

    Raises:
        StackError: As `get_outputs`, and if there is no output of that name.
        EmulationError: As `get_outputs`.
    """
    outputs = get_outputs(stack)
    if name is None:
        return "\n".join(f"{it} = {json.dumps(outputs[it], indent=2)}" for it in sorted(outputs))
    if name not in outputs:
        raise StackError(
            f"{stack.stage} has no output {name!r}; its outputs are {', '.join(sorted(outputs))}"
        )
    value = outputs[name]
    return value if isinstance(value, str) else json.dumps(value)
