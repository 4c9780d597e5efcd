"""The files that describe the repository agree with each other and with the code."""

import json
import re
import shlex
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from chalicelib.setting_names import NUMBERS, SPEECH
from operations.package import GLIBC_OF_RUNTIME

ROOT = Path(__file__).parents[2]
CHECKS = ROOT / ".github" / "workflows" / "checks.yml"
DEPLOY = ROOT / "examples" / "workflows" / "deploy.yml"
PAGES = (
    "README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "clients/javascript/README.md",
    "clients/python/README.md",
)

PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def read_jobs(workflow: Path) -> dict[str, Any]:
    jobs: dict[str, Any] = yaml.safe_load(workflow.read_text())["jobs"]
    return jobs


def list_inputs(workflow: Path, action: str) -> list[dict[str, Any]]:
    """Return the inputs of all steps that use an action."""
    steps = [step for job in read_jobs(workflow).values() for step in job["steps"]]
    return [step["with"] for step in steps if step.get("uses", "").startswith(action)]


def read_inputs(workflow: Path, action: str) -> dict[str, Any]:
    """Return the inputs of the first step that uses an action."""
    return list_inputs(workflow, action)[0]


def read_checks() -> list[list[list[str]]]:
    """Return the commands of each parallel job, split into words."""
    job = read_jobs(CHECKS)["checks"]
    assert job["steps"][-1]["run"] == "${{ matrix.run }}"
    runs = [entry["run"] for entry in job["strategy"]["matrix"]["include"]]
    return [[shlex.split(line) for line in run.splitlines()] for run in runs]


def list_folders(command: list[str]) -> list[str]:
    if command[:2] != ["make", "test"]:
        return []
    [tests] = command[2:]
    return tests.removeprefix("TESTS=").split()


def test_the_jobs_run_the_check_the_docs_and_every_folder_of_tests_once() -> None:
    commands = [command for job in read_checks() for command in job]
    found = sorted(folder for command in commands for folder in list_folders(command))
    packages = ROOT / "local-gateway", ROOT / "clients" / "python"
    files = [it for package in packages for it in package.glob("tests/test_*.py")]
    files += ROOT.glob("tests/**/test_*.py")
    folders = {path.parent.relative_to(ROOT).as_posix() for path in files}
    assert found == sorted(folders)
    assert commands.count(["make", "check", "docs"]) == 1
    script = (ROOT / ".ci" / "run").read_text()
    assert "make check docs && .ci/pythons" in script
    assert "make test ||" in script


def test_the_packages_are_tested_on_every_python_that_they_support() -> None:
    gateway = tomllib.loads((ROOT / "local-gateway" / "pyproject.toml").read_text())["project"]
    assert gateway["requires-python"] == PROJECT["requires-python"]
    versions = ["{}.{}".format(*version) for version in sorted(GLIBC_OF_RUNTIME)]
    job = read_jobs(CHECKS)["local-gateway"]
    assert job["strategy"]["matrix"]["python"] == versions
    assert job["steps"][-1] == {"run": "python -m pytest"}
    script = (ROOT / ".ci" / "pythons").read_text()
    assert f"for version in {' '.join(versions)}; do" in script
    # A release of a dependency must not break an old commit's tests.
    assert script.count(" install -") == script.count('--constraint "$versions"') == 1


@pytest.mark.parametrize(
    ("folder", "command"),
    [("tests/browser", [".ci/browser"]), ("tests/unit", ["sudo", ".ci/speech"])],
)
def test_the_job_with_a_folder_of_tests_installs_what_they_need(
    folder: str, command: list[str]
) -> None:
    for job in read_checks():
        assert (command in job) == any(folder in list_folders(each) for each in job)


@pytest.mark.parametrize("workflow", [CHECKS, DEPLOY], ids=lambda path: path.name)
def test_a_workflow_uses_actions_by_commit_and_leaves_no_credentials(workflow: Path) -> None:
    uses = re.findall(r"uses: (.*)", workflow.read_text())
    assert uses
    for action in uses:
        assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", action)
    for inputs in list_inputs(workflow, "actions/checkout"):
        assert inputs["persist-credentials"] is False


def test_only_the_deployment_can_ask_for_a_token() -> None:
    checks, deploy = (yaml.safe_load(file.read_text()) for file in (CHECKS, DEPLOY))
    assert checks["permissions"] == {"contents": "read"}
    assert all("permissions" not in job for job in read_jobs(CHECKS).values())
    assert deploy["permissions"] == {}
    assert read_jobs(DEPLOY)["deploy"]["permissions"] == {"contents": "read", "id-token": "write"}


def test_the_deployment_offers_every_stage_except_the_emulators() -> None:
    # YAML 1.1 reads the key `on` as true.
    [trigger] = yaml.safe_load(DEPLOY.read_text())[True].values()
    files = (ROOT / "terraform" / "environments").glob("*.tfvars")
    assert set(trigger["inputs"]["stage"]["options"]) == {file.stem for file in files} - {"local"}


def test_the_documented_role_trusts_one_environment_of_one_repository() -> None:
    page = (ROOT / "docs" / "how-to" / "deploy.md").read_text()
    [policy] = re.findall(r"^ *```json\n(.*?)^ *```", page, re.DOTALL | re.MULTILINE)
    [statement] = json.loads(policy)["Statement"]
    assert statement["Action"] == "sts:AssumeRoleWithWebIdentity"
    [(operator, conditions)] = statement["Condition"].items()
    assert operator == "StringEquals"
    values = {key.partition(":")[2]: value for key, value in conditions.items()}
    assert values["aud"] == "sts.amazonaws.com"
    assert values["sub"].endswith(":environment:dev")
    assert "*" not in policy


def test_the_newest_version_in_the_changelog_is_the_version_of_the_project() -> None:
    headings = re.findall(r"^## (.*)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert headings[0] == "[Unreleased]"
    assert re.fullmatch(rf"\[{PROJECT['version']}\] - \d{{4}}-\d{{2}}-\d{{2}}", headings[1])


def test_the_versions_of_python_are_those_that_can_be_packaged() -> None:
    oldest, newest = min(GLIBC_OF_RUNTIME), max(GLIBC_OF_RUNTIME)
    above = (newest[0], newest[1] + 1)
    names = ["{}.{}".format(*version) for version in (oldest, newest, above)]
    assert PROJECT["requires-python"] == f">={names[0]},<{names[2]}"
    tested = read_inputs(CHECKS, "actions/setup-python")["python-version"]
    assert tested in {"{}.{}".format(*version) for version in GLIBC_OF_RUNTIME}


def test_the_deployment_packages_with_the_python_that_prod_sets() -> None:
    prod = (ROOT / "terraform" / "environments" / "prod.tfvars").read_text()
    version = read_inputs(DEPLOY, "actions/setup-python")["python-version"]
    assert re.search(rf'^python_version += "{re.escape(version)}"$', prod, re.MULTILINE)


def test_the_workflows_install_one_terraform_that_the_stack_accepts() -> None:
    # Both jobs of the checks have tests that run Terraform.
    per_job = [list_inputs(file, "hashicorp/setup-terraform") for file in (CHECKS, DEPLOY)]
    assert [len(inputs) for inputs in per_job] == [len(read_jobs(CHECKS)), 1]
    inputs = [each for inputs in per_job for each in inputs]
    assert all(each == inputs[0] for each in inputs)
    # The wrapper adds text of its own to the output that the commands read.
    assert inputs[0]["terraform_wrapper"] is False
    stack = (ROOT / "terraform" / "versions.tf").read_text()
    [oldest] = re.findall(r'required_version = ">= (\d+\.\d+)"', stack)
    assert inputs[0]["terraform_version"].startswith(f"{oldest}.")


def test_the_hooks_call_tools_that_the_requirements_pin() -> None:
    [local] = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    assert local["repo"] == "local"
    pinned = (ROOT / "requirements-dev.in").read_text()
    for hook in local["hooks"]:
        folder, _, tool = hook["entry"].split()[0].rpartition("/")
        assert folder == ".venv/bin"
        assert re.search(rf"^{tool}==", pinned, re.MULTILINE)


def anchors(page: Path) -> set[str]:
    """Return the anchors that the forge gives to a page's headings."""
    headings = re.findall(r"^#+ (.*)", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("name", PAGES)
def test_every_file_and_anchor_that_a_page_links_to_exists(name: str) -> None:
    links = re.findall(r"\]\((?!\w+:)([^)]*)\)", (ROOT / name).read_text())
    for link in links:
        path, _, anchor = link.partition("#")
        target = (ROOT / name).parent / path if path else ROOT / name
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_every_page_and_anchor_that_a_source_names_exists() -> None:
    command = ["git", "ls-files", "--", "*.py", "*.tf", "*.yml", "*.yaml", "Makefile"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    texts = [(ROOT / name).read_text() for name in listed.split() if (ROOT / name).exists()]
    named = {it for text in texts for it in re.findall(r"\bdocs/[\w/-]+\.md(?:#[\w-]+)?", text)}
    assert named
    for name in named:
        path, _, anchor = name.partition("#")
        assert (ROOT / path).is_file(), name
        assert not anchor or anchor in anchors(ROOT / path), name


def read_first_column(page: str, heading: str) -> list[str]:
    """Return the code in the first cell of each row under a heading of the second level."""
    section = (ROOT / page).read_text().partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    return re.findall(r"^\| `([^`]+)`", section, re.MULTILINE)


def test_the_docs_list_every_setting() -> None:
    listed = read_first_column("docs/reference/configuration.md", "Settings")
    assert listed == sorted(NUMBERS | SPEECH | {"LOG_LEVEL", "PIPELINE_FUNCTION"})


def test_the_docs_list_every_variable_of_the_stack() -> None:
    stack = (ROOT / "terraform" / "variables.tf").read_text()
    listed = read_first_column("docs/reference/configuration.md", "Stage variables")
    variables = re.findall(r'^variable "(\w+)"', stack, re.MULTILINE)
    assert listed == variables


def test_the_docs_have_the_default_of_every_variable_of_the_stack() -> None:
    stack = (ROOT / "terraform" / "variables.tf").read_text()
    page = (ROOT / "docs" / "reference" / "configuration.md").read_text()
    variable = re.compile(r'^variable "(\w+)" \{\n(.*?)^\}', re.DOTALL | re.MULTILINE)
    defaults = {
        name: re.findall(r"^  default +=(.*)", body, re.MULTILINE)
        for name, body in variable.findall(stack)
    }
    rows = dict(re.findall(r"^\| `([a-z_]+)` \| ([^|]+) \|", page, re.MULTILINE))
    assert {name: it.strip("`").strip('"') for name, it in rows.items()} == {
        name: it[0].strip().strip('"') if it else "required" for name, it in defaults.items()
    }


def test_the_docs_list_every_verb_of_make() -> None:
    page = (ROOT / "docs" / "reference" / "commands.md").read_text()
    listed = re.findall(r"^\| `make ([a-z-]+)`", page, re.MULTILINE)
    verbs = re.findall(r"^([a-z-]+):.* ## ", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert sorted(listed) == sorted(verbs)


@pytest.mark.parametrize("name", [PROJECT["readme"], *PROJECT["license-files"]])
def test_a_file_that_the_metadata_names_exists(name: str) -> None:
    assert (ROOT / name).is_file()
