"""What the tests that run Terraform need, and what is said where it cannot be had."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
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


def lacks(what: str) -> NoReturn:
    """Skip, saying what this machine lacks; fail in CI, where nothing may be lacking."""
    if os.environ.get("CI"):
        pytest.fail(f"this test cannot run: {what}")
    pytest.skip(what)
