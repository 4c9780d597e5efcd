"""The Terraform configuration of the conformance suite, with the probe that Chalice packages."""

import os
import shutil
from pathlib import Path

import pytest

from conformance.targets.stack import Terraform, find_environment, prepare


def environment() -> dict[str, str]:
    """Return Terraform's environment, with a mirror of the AWS provider if there is one.

    It is the one that TF_CLI_ARGS_init or TF_PROVIDER_MIRROR names, or else a folder of /opt.
    """
    found = sorted(it.parents[2] for it in Path("/opt").glob("*/*/hashicorp/aws"))
    mirror = os.environ.get("TF_PROVIDER_MIRROR") or next(iter(found), None)
    arguments = "" if mirror is None else f"-plugin-dir={mirror}"
    return {"TF_CLI_ARGS_init": arguments, **find_environment()}


def test_the_packaged_stack_is_formatted_and_valid(tmp_path: Path) -> None:
    if shutil.which("terraform") is None and not os.environ.get("CI"):
        pytest.skip("terraform is not on the path")
    terraform = Terraform(tmp_path / "terraform", environment())
    prepare("test", tmp_path, terraform)
    terraform.run("fmt", "-check", "-recursive")
    terraform.run("validate")
