"""The outputs of a stage from its Terraform state."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from operations.stage_outputs import read_outputs
from operations.terraform_stack import Stack, StackError
from tests.terraform.requirements import require_terraform
from tests.unit.fakes import STAGE_OUTPUTS


def deployed(root: Path, outputs: Mapping[str, Any]) -> Stack:
    """Make a project with the stage dev and the state of its last apply."""
    stack = Stack("dev", root)
    stack.environments.mkdir(parents=True)
    (stack.environments / "dev.tfvars").touch()
    if outputs:
        types = {"table_names": ["map", "string"]}
        state = {
            "version": 4,
            "terraform_version": "1.11.0",
            "serial": 1,
            "lineage": "of-dev",
            "outputs": {
                name: {"value": value, "type": types.get(name, "string")}
                for name, value in outputs.items()
            },
            "resources": [],
        }
        file = stack.local_states / "dev" / "terraform.tfstate"
        file.parent.mkdir(parents=True)
        file.write_text(json.dumps(state))
    return stack


@pytest.mark.parametrize("outputs", [{}, STAGE_OUTPUTS], ids=["not deployed", "deployed"])
def test_outputs_are_read_from_the_state(tmp_path: Path, outputs: dict[str, Any]) -> None:
    require_terraform()
    assert read_outputs(deployed(tmp_path, outputs)) == outputs


def test_outputs_are_not_read_while_another_command_runs_for_the_stage(tmp_path: Path) -> None:
    stack = deployed(tmp_path, {})
    with stack.lock(), pytest.raises(StackError, match="another command for dev is running"):
        read_outputs(stack)
