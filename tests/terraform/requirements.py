"""What the tests that run Terraform need, and what is said where it cannot be had."""

import os

import pytest

from scripts import terraform_cli


def require_terraform() -> None:
    """Skip what needs Terraform where it or its provider is not to be had; fail in CI."""
    if terraform_cli.find_terraform() is None:
        lacks("terraform is not on the path")
    if terraform_cli.find_mirror() is None and os.environ.get("CI"):
        lacks("no mirror of the AWS provider was found")


def lacks(what: str) -> None:
    if os.environ.get("CI"):
        pytest.fail(f"this test cannot run: {what}")
    pytest.skip(what)
