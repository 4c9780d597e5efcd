"""What the configuration plans, without AWS: `terraform test` with a mocked provider, on a copy."""

import argparse
import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from devserver.command import run_command
from scripts import terraform_cli
from scripts.package import package

ROOT = Path(__file__).parents[1]

KEPT = {"TF_CLI_CONFIG_FILE", "TF_PLUGIN_CACHE_DIR"}
"""Of the developer's own TF_ variables; a TF_VAR_ or a TF_WORKSPACE would change the plan."""


class PlanningError(Exception):
    """Terraform has failed; the message is what it said."""


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
        return subprocess.run(  # noqa: S603
            [self.command, *arguments],
            cwd=self.folder,
            env={**kept, **settings},
            capture_output=True,
            text=True,
            check=False,
        )

    def passes(self, *arguments: str, workspace: str = "default") -> str:
        """Run what has to succeed, and return what it said. Raises: PlanningError."""
        done = self.run(*arguments, workspace=workspace)
        if done.returncode:
            raise PlanningError(done.stdout + done.stderr)
        return done.stdout

    def package(self, stage: str) -> None:
        package(stage, self.folder / "modules" / "app")

    def plan(self, stage: str, *arguments: str) -> dict[str, list[dict[str, Any]]]:
        """Plan a stage with a mocked provider; return each resource's arguments, by type.

        Args:
            stage: The stage whose file has the variables.
            arguments: More arguments of `terraform test`, such as other variables.

        Raises: PlanningError.
        """
        self.package(stage)
        said = self.passes(
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


def copy_configuration(command: Path, folder: Path) -> Configuration:
    """Copy terraform/ and the schema that it reads into a folder; leave a developer's own state."""
    terraform_cli.copy_stack(ROOT, folder)
    return Configuration(command, folder / "terraform")


def main() -> int:
    """Print what a stage plans, as one JSON object: each resource's arguments, by type."""
    parser = argparse.ArgumentParser(prog="python -m scripts.planning", description=main.__doc__)
    parser.add_argument("stage")
    options = parser.parse_args()
    command = terraform_cli.find_terraform()
    if command is None:
        print("planning: there is no terraform on the path", file=sys.stderr)
        return 1
    try:
        with tempfile.TemporaryDirectory() as folder:
            configuration = copy_configuration(command, Path(folder))
            configuration.package(options.stage)
            configuration.passes("init", "-input=false", *terraform_cli.init_arguments())
            print(json.dumps(configuration.plan(options.stage)))
    except PlanningError as error:
        print(f"planning: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    run_command(main)
