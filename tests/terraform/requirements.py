"""What the tests that run Terraform need, and what is said where it cannot be had."""

import os
import re
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

import pytest

from operations import terraform_cli
from operations.terraform_cli import TerraformError


def require_terraform() -> None:
    if terraform_cli.find_terraform() is None:
        lacks("terraform is not on the path")


@contextmanager
def require_provider() -> Iterator[None]:
    """Skip where Terraform cannot be initialized, for want of the AWS provider."""
    require_terraform()
    try:
        yield
    except TerraformError as error:
        if "terraform init" not in str(error):
            raise
        lacks(f"the AWS provider, which TF_PROVIDER_MIRROR can name a mirror of: {error}")


@contextmanager
def running_provider(folder: Path, environment: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """Run the AWS provider of an initialized folder, and give the variable that names it.

    With this variable, Terraform uses this process. Otherwise each command starts the provider once
    for each module, and `terraform validate` alone takes 12 s instead of 4.
    Source: "Debugger-Based Debugging", Terraform Plugin Development.

    The provider runs in the folder, because it opens the zip by a relative path. AWS_CA_BUNDLE is
    left out: with it, the provider fails when a second command configures it. Neither a mocked AWS
    nor an emulator needs certificates.
    """
    (command,) = folder.glob(".terraform/providers/*/*/aws/*/*/terraform-provider-aws_*")
    with subprocess.Popen(
        [command, "-debug"],
        cwd=folder,
        env={name: it for name, it in environment.items() if name != "AWS_CA_BUNDLE"},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdout
        try:
            lines = (re.search(r"(TF_REATTACH_PROVIDERS)='(.*)'", it) for it in process.stdout)
            found = next((line for line in lines if line), None)
            assert found, "the provider has ended"
            yield {found[1]: found[2]}
        finally:
            process.terminate()


def lacks(what: str) -> NoReturn:
    """Skip, saying what this machine lacks; fail in CI, where nothing may be lacking."""
    if os.environ.get("CI"):
        pytest.fail(f"this test cannot run: {what}")
    pytest.skip(what)
