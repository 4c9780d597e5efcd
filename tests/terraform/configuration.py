"""What the configuration plans, without AWS: `terraform test` with a mocked provider, on a copy."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from operations import package, terraform_cli

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Configuration:
    """An initialized copy of terraform/, with the package of one stage at a time.

    Attributes:
        folder: The copy's terraform/ folder.
        variables: More environment variables for Terraform.
    """

    folder: Path
    variables: Mapping[str, str] = field(default_factory=dict)

    def run(self, *arguments: str, workspace: str = "default") -> str:
        """Run Terraform in a workspace, and return its output. Raises: TerraformError."""
        settings = {"TF_WORKSPACE": workspace, "CHECKPOINT_DISABLE": "1"}
        environment = {**terraform_cli.environment(), **settings, **self.variables}
        return terraform_cli.run(self.folder, environment, *arguments)

    def package(self, stage: str) -> None:
        """Write a stage's package, with an empty zip. A mocked plan needs only the zip's hash."""
        self.configure(stage)
        (self.folder / "modules" / "app" / "deployment.zip").touch()

    def configure(self, stage: str) -> None:
        """Write the configuration of a stage's functions. Their code is the same in all stages."""
        (self.folder / "modules" / "app" / "chalice.tf.json").write_text(functions_of(stage))

    def plan(self, stage: str, *arguments: str) -> dict[str, list[dict[str, Any]]]:
        """Plan a stage with a mocked provider; return each resource's arguments, by type.

        Args:
            stage: The stage whose file has the variables.
            arguments: More arguments of `terraform test`, such as other variables.

        Raises: TerraformError.
        """
        self.package(stage)
        said = self.run(
            "test",
            "-json",
            "-verbose",
            "-filter=tests/plans.tftest.hcl",
            f"-var-file=environments/{stage}.tfvars",
            *arguments,
            workspace=stage,
        )
        plans = [
            line["test_plan"] for line in map(json.loads, said.splitlines()) if "test_plan" in line
        ]
        resources: dict[str, list[dict[str, Any]]] = {}
        for change in plans[0]["resource_changes"]:
            if change["mode"] == "managed":
                resources.setdefault(change["type"], []).append(change["change"]["after"])
        return resources


@cache
def functions_of(stage: str) -> str:
    """Return the configuration of a stage's functions, as Chalice generates it."""
    with TemporaryDirectory() as scratch, package.locked_cache():
        package.run_chalice(stage, Path(scratch))
        return package.read_configuration(Path(scratch))
