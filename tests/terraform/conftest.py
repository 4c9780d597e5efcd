"""Terraform, run on a copy of the configuration: no test leaves a trace in the work tree."""

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import pytest

from operations import terraform_cli
from tests.terraform.configuration import ROOT, Configuration
from tests.terraform.requirements import require_provider, running_provider

# Terraform and the provider load a large schema and exit soon. With Go's default of 100, they spend
# a fifth of their CPU time on garbage collection. Source: "A Guide to the Go Garbage Collector".
os.environ.setdefault("GOGC", "400")

STAGES = sorted(path.stem for path in (ROOT / "terraform" / "environments").glob("*.tfvars"))

OF_VARIABLES = ("validations", "stage_names")
"""Terraform's test files that need only the variables."""


@pytest.fixture(scope="session")
def configuration(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Configuration]:
    folder = terraform_cli.copy_stack(ROOT, tmp_path_factory.mktemp("terraform"))
    configuration = Configuration(folder)
    configuration.package("dev")
    with require_provider():
        configuration.run("init", "-input=false", *terraform_cli.init_arguments())
    with running_provider(folder, terraform_cli.environment()) as variables:
        yield replace(configuration, variables=variables)


@pytest.fixture(scope="session")
def variables(tmp_path_factory: pytest.TempPathFactory) -> Configuration:
    """Make a configuration of variables.tf alone: it refuses values without planning a stack."""
    folder, source = tmp_path_factory.mktemp("variables"), ROOT / "terraform"
    for name in ("environments", "tests/aws"):
        shutil.copytree(source / name, folder / name)
    for name in ("variables.tf", *(f"tests/{name}.tftest.hcl" for name in OF_VARIABLES)):
        shutil.copy(source / name, folder / name)
    return Configuration(folder)


@dataclass(frozen=True)
class Plan:
    """What a stage's own file plans, by type: each resource's arguments."""

    stage: str
    resources: dict[str, list[dict[str, Any]]]


@pytest.fixture(scope="session")
def plan_of(configuration: Configuration) -> Callable[[str], Plan]:
    """Plan each stage once, when it is asked for."""
    return cache(lambda stage: Plan(stage, configuration.plan(stage)))


@pytest.fixture(scope="session")
def whole(plan_of: Callable[[str], Plan]) -> Plan:
    """Return what the file of prod plans, which asks for every alarm."""
    return plan_of("prod")


@pytest.fixture(scope="session", params=STAGES)
def plan(plan_of: Callable[[str], Plan], request: pytest.FixtureRequest) -> Plan:
    return plan_of(request.param)
