"""What the tests that run Terraform need, and what is said where it cannot be had."""

import os
from typing import NoReturn

import pytest

from scripts import terraform_cli


def require_terraform() -> None:
    if terraform_cli.find_terraform() is None:
        lacks("terraform is not on the path")


def lacks(what: str) -> NoReturn:
    """Skip, saying what this machine lacks; fail in CI, where nothing may be lacking."""
    if os.environ.get("CI"):
        pytest.fail(f"this test cannot run: {what}")
    pytest.skip(what)
