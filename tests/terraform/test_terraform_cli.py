"""How Terraform is run: its provider, its environment and its files."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from operations import terraform_cli
from operations.terraform_cli import TerraformError

Run = Callable[..., str]


@pytest.fixture(autouse=True)
def bare_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Make empty home and data folders, and name no mirror."""
    monkeypatch.delenv("TF_PROVIDER_MIRROR", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_DATA_DIRS", str(tmp_path / "share"))


def put_provider(folder: Path) -> None:
    (folder / terraform_cli.PROVIDER).mkdir(parents=True)


def test_a_named_mirror_precedes_all_others(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    put_provider(tmp_path / "home" / ".terraform.d" / "plugins")
    monkeypatch.setenv("TF_PROVIDER_MIRROR", str(tmp_path / "named"))
    assert terraform_cli.find_mirror() == tmp_path / "named"


def test_a_named_mirror_does_not_depend_on_the_folder_terraform_runs_in(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TF_PROVIDER_MIRROR", "mirror")
    assert f"-plugin-dir={tmp_path / 'mirror'}" in terraform_cli.init_arguments()


@pytest.mark.parametrize(
    "place",
    ["home/.terraform.d/plugins", "data/terraform/plugins", "share/terraform/plugins"],
)
def test_terraforms_own_folders_are_searched(tmp_path: Path, place: str) -> None:
    put_provider(tmp_path / place)
    assert terraform_cli.find_mirror() == tmp_path / place


def test_without_a_mirror_the_registry_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terraform_cli, "mirror_folders", lambda: iter([Path("/nowhere")]))
    assert terraform_cli.init_arguments() == ["-lockfile=readonly"]


def test_an_unreadable_folder_is_skipped(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refuse(path: Path) -> bool:
        raise PermissionError(path)

    monkeypatch.setattr(Path, "is_dir", refuse)
    assert not terraform_cli.has_provider(tmp_path)


def test_a_missing_configuration_file_is_left_out(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TF_CLI_CONFIG_FILE", str(tmp_path / "none"))
    assert "TF_CLI_CONFIG_FILE" not in terraform_cli.environment()


def test_an_existing_configuration_file_is_kept(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "terraformrc"
    file.touch()
    monkeypatch.setenv("TF_CLI_CONFIG_FILE", str(file))
    assert terraform_cli.environment()["TF_CLI_CONFIG_FILE"] == str(file)


@pytest.mark.parametrize(
    "name",
    ["TF_WORKSPACE", "TF_VAR_stage", "TF_CLI_ARGS", "TF_CLI_ARGS_plan", "TF_DATA_DIR"],
)
def test_variables_that_redirect_a_command_are_ignored_and_reported(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    monkeypatch.setenv(name, "a secret")
    monkeypatch.setenv("TF_LOG", "off")
    assert name not in terraform_cli.environment()
    assert terraform_cli.environment()["TF_LOG"] == "off"
    said = capsys.readouterr().err
    assert name in said
    assert "a secret" not in said


def test_an_unchanged_environment_is_not_reported(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in [name for name in os.environ if name.startswith(terraform_cli.IGNORED)]:
        monkeypatch.delenv(name)
    terraform_cli.environment()
    assert capsys.readouterr().err == ""


def test_a_copy_of_the_stack_contains_no_files_that_terraform_has_written(
    tmp_path: Path,
) -> None:
    read = {
        "terraform/main.tf",
        "terraform/.terraform.lock.hcl",
        "terraform/modules/app/deployment.zip",
        "chalicelib/tables.json",
    }
    made = {
        "terraform/.terraform/modules/modules.json",
        "terraform/.terraform.tfstate.lock.info",
        "terraform/backend_override.tf",
        "terraform/errored.tfstate",
        "terraform/terraform.tfstate.d/dev/terraform.tfstate",
        "terraform/old.tfplan",
    }
    for name in read | made | {"app.py"}:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    terraform_cli.copy_stack(tmp_path, tmp_path / "copy")
    copied = (tmp_path / "copy").rglob("*")
    files = {path.relative_to(tmp_path / "copy").as_posix() for path in copied if path.is_file()}
    assert files == read


@pytest.mark.parametrize("run", [terraform_cli.run, terraform_cli.show])
def test_without_terraform_on_the_path_no_command_runs(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, run: Run
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(TerraformError, match="terraform is not on the path"):
        run(tmp_path, {}, "version")


def test_a_command_that_fails_shows_the_end_of_its_output(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    command = tmp_path / "terraform"
    command.write_text(f"#!/bin/sh\nseq {terraform_cli.OUTPUT_CHARACTERS}\necho why >&2\nexit 1\n")
    command.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    with pytest.raises(TerraformError, match=r"^terraform plan has failed\n") as failed:
        terraform_cli.run(tmp_path, os.environ, "plan")
    assert str(failed.value).endswith(f"{terraform_cli.OUTPUT_CHARACTERS}\n\nwhy")
    assert len(str(failed.value)) < terraform_cli.OUTPUT_CHARACTERS + 100
