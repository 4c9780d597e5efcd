"""Terraform, run on a copy of the configuration: no test leaves a trace in the work tree."""

from dataclasses import dataclass
from typing import Any

import pytest

from scripts import terraform_cli
from scripts.planning import ROOT, Configuration, copy_configuration
from tests.terraform.requirements import lacks

STAGES = sorted(path.stem for path in (ROOT / "terraform" / "environments").glob("*.tfvars"))


@pytest.fixture(scope="session")
def configuration(tmp_path_factory: pytest.TempPathFactory) -> Configuration:
    command = terraform_cli.find_terraform()
    if command is None:
        lacks("there is no terraform on the path")
    configuration = copy_configuration(command, tmp_path_factory.mktemp("terraform"))
    configuration.package("dev")
    made_ready = configuration.run("init", "-input=false", *terraform_cli.init_arguments())
    if made_ready.returncode and "provider" in made_ready.stderr:
        lacks(f"no AWS provider; TF_PROVIDER_MIRROR can name a mirror of it\n{made_ready.stderr}")
    assert made_ready.returncode == 0, made_ready.stderr
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
