"""Terraform, run on a copy of the configuration: no test leaves a trace in the work tree."""

from dataclasses import dataclass
from typing import Any

import pytest

from operations import terraform_cli
from tests.terraform.configuration import ROOT, Configuration
from tests.terraform.requirements import require_provider

STAGES = sorted(path.stem for path in (ROOT / "terraform" / "environments").glob("*.tfvars"))


@pytest.fixture(scope="session")
def configuration(tmp_path_factory: pytest.TempPathFactory) -> Configuration:
    folder = terraform_cli.copy_stack(ROOT, tmp_path_factory.mktemp("terraform"))
    configuration = Configuration(folder)
    configuration.package("dev")
    with require_provider():
        configuration.run("init", "-input=false", *terraform_cli.init_arguments())
    return configuration


@dataclass(frozen=True)
class Plan:
    """What a stage's own file plans, by type: each resource's arguments."""

    stage: str
    resources: dict[str, list[dict[str, Any]]]


@pytest.fixture(scope="session")
def whole(configuration: Configuration) -> Plan:
    """Return what the file of prod plans, which asks for every alarm."""
    return Plan("prod", configuration.plan("prod"))


@pytest.fixture(scope="session", params=STAGES)
def plan(configuration: Configuration, request: pytest.FixtureRequest) -> Plan:
    stage = request.param
    return Plan(stage, configuration.plan(stage))
