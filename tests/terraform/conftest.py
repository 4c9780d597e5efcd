"""Terraform, run on a copy of the configuration: no test leaves a trace in the work tree."""

import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from scripts import terraform_cli
from scripts.package import package
from tests.terraform.requirements import lacks

ROOT = Path(__file__).parents[2]
STAGES = sorted(path.stem for path in (ROOT / "terraform" / "environments").glob("*.tfvars"))

KEPT = {"TF_CLI_CONFIG_FILE", "TF_PLUGIN_CACHE_DIR"}
"""Of the developer's own TF_ variables; a TF_VAR_ or a TF_WORKSPACE would change what is tested."""


@dataclass(frozen=True)
class Configuration:
    """A copy of terraform/, initialized, that a package of one stage at a time is put into."""

    command: Path
    folder: Path

    def run(self, *arguments: str, workspace: str = "default") -> subprocess.CompletedProcess[str]:
        variables = terraform_cli.environment()
        kept = {name: variables[name] for name in variables if name[:3] != "TF_" or name in KEPT}
        settings = {
            "TF_WORKSPACE": workspace,
            "TF_IN_AUTOMATION": "1",
            "TF_CLI_ARGS": "-no-color",
            "CHECKPOINT_DISABLE": "1",
        }
        return subprocess.run(
            [self.command, *arguments],
            cwd=self.folder,
            env={**kept, **settings},
            capture_output=True,
            text=True,
            check=False,
        )

    def passes(self, *arguments: str, workspace: str = "default") -> str:
        """Run what has to succeed, and return what it said."""
        done = self.run(*arguments, workspace=workspace)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def package(self, stage: str) -> None:
        package(stage, self.folder / "modules" / "app")


@pytest.fixture(scope="session")
def configuration(tmp_path_factory: pytest.TempPathFactory) -> Configuration:
    command = terraform_cli.find_terraform()
    if command is None:
        lacks("there is no terraform on the path")
    scratch = tmp_path_factory.mktemp("terraform")
    shutil.copytree(
        ROOT / "terraform",
        scratch / "terraform",
        ignore=shutil.ignore_patterns(
            ".terraform*", "terraform.tfstate*", "chalice.tf.json", "*.zip"
        ),
    )
    (scratch / "chalicelib").mkdir()
    shutil.copy(ROOT / "chalicelib" / "tables.json", scratch / "chalicelib")
    configuration = Configuration(command, scratch / "terraform")
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


@pytest.fixture(scope="session", params=STAGES)
def plan(configuration: Configuration, request: pytest.FixtureRequest) -> Plan:
    stage = request.param
    configuration.package(stage)
    said = configuration.passes(
        "test",
        "-json",
        "-verbose",
        "-filter=tests/plans.tftest.hcl",
        f"-var-file=environments/{stage}.tfvars",
        workspace=stage,
    )
    plans = [
        line["test_plan"] for line in map(json.loads, said.splitlines()) if "test_plan" in line
    ]
    resources: dict[str, list[dict[str, Any]]] = {}
    for change in plans[0]["resource_changes"]:
        if change["mode"] == "managed":
            resources.setdefault(change["type"], []).append(change["change"]["after"])
    return Plan(stage, resources)
