"""Checks of a stage before Terraform runs."""

import json
import os
import re
from typing import Final

from operations import credentials, running_emulation, terraform_cli, tfvars
from operations.credentials import CredentialsError
from operations.terraform_stack import MOVING_STATE, Stack, StackError

DEFAULT_REGION: Final = "us-east-1"
"""The default of the variable `region` in terraform/variables.tf."""


def check_stage(stack: Stack) -> None:
    """Check that the stage has a variables file.

    Raises:
        StackError: It has none, such as `default`.
    """
    stages = sorted(path.stem for path in stack.environments.glob("*.tfvars"))
    if stack.stage not in stages:
        raise StackError(f"there is no stage {stack.stage!r}; the stages are {', '.join(stages)}")


def check_account(stack: Stack) -> None:
    """Check that the emulator's stage doesn't go to a real account.

    Raises:
        StackError: The stage is `local`, and AWS_ENDPOINT_URL names no emulator.
    """
    if stack.stage == running_emulation.STAGE and not _is_emulated():
        raise StackError(
            f"{stack.stage} is for an emulator of AWS, but AWS_ENDPOINT_URL names none; "
            "to start one with the stack in it: make emulate"
        )


def check_variables(stack: Stack) -> None:
    """Check that the stage's file sets only variables of the stack.

    Raises:
        StackError: The file sets another variable.
    """
    unknown = tfvars.find_unknown(stack.variables_file.read_text(), stack.terraform_folder)
    if unknown:
        file = stack.variables_file.relative_to(stack.terraform_folder)
        raise StackError(f"{file} sets {unknown}")


def check_credentials(stack: Stack) -> None:
    """Check the AWS credentials in the stage's region.

    Raises:
        StackError: AWS doesn't accept them, or the region isn't supported.
    """
    region = tfvars.find_string(stack.variables_file.read_text(), "region")
    try:
        credentials.check(region or DEFAULT_REGION)
    except CredentialsError as error:
        raise StackError(str(error)) from None


def check_package(stack: Stack) -> None:
    """Check that the package in the copy was made for this stage and its Python.

    Raises:
        StackError: There is no package, or it was made for another stage or Python.
    """
    path = stack.copy / "modules" / "app" / "chalice.tf.json"
    if not path.exists():
        raise StackError(f"there is no package; make one: make package STAGE={stack.stage}")
    functions = json.loads(path.read_text())["resource"]["aws_lambda_function"]
    tags = {function["tags"]["aws-chalice"] for function in functions.values()}
    stages = {re.sub(r".*stage=([^:]*):.*", r"\1", tag) for tag in tags}
    if stages != {stack.stage}:
        raise StackError(
            f"the package was made for stage {', '.join(sorted(stages))}, not {stack.stage}; "
            f"make one: make package STAGE={stack.stage}"
        )
    _check_python(stack, {function["runtime"] for function in functions.values()})


def _check_python(stack: Stack, runtimes: set[str]) -> None:
    text = (stack.copy / "environments" / f"{stack.stage}.tfvars").read_text()
    version = tfvars.find_string(text, "python_version")
    if version and runtimes != {f"python{version}"}:
        raise StackError(
            f"the package was made by {', '.join(sorted(runtimes))}, but {stack.stage} runs on "
            f"Python {version}; make another: "
            f"make PYTHON=python{version} package STAGE={stack.stage}"
        )


def check_plan(stack: Stack) -> None:
    """Check that there is a saved plan, and that the project hasn't changed since.

    Raises:
        StackError: There is no plan, or a file that Terraform reads has changed.
    """
    if not stack.plan_file.exists():
        raise StackError(f"there is no plan; make one: make plan STAGE={stack.stage}")
    changed = terraform_cli.find_changes(stack.root, stack.data_folder)
    if changed:
        raise StackError(
            f"changed since the plan was made: {', '.join(map(str, changed))}; "
            f"make another: make plan STAGE={stack.stage}"
        )


def check_state(stack: Stack) -> None:
    """Check that Terraform has saved its last state.

    Raises:
        StackError: A state that it could not save is still in its file.
    """
    if stack.unsaved_state.exists():
        raise StackError(
            f"{stack.unsaved_state.relative_to(stack.root)} has the state that Terraform could not "
            f"save. Push it, and remove the file: {MOVING_STATE}"
        )


def _is_emulated() -> bool:
    """Source: AWS SDKs and Tools Reference Guide, "Service-specific endpoints"."""
    is_ignored = os.environ.get("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "").lower() == "true"
    return bool(os.environ.get("AWS_ENDPOINT_URL")) and not is_ignored
