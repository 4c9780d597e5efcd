"""The verbs for a stage, on a configuration that needs no provider: what they refuse first."""

import io
import json
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from devserver.aws import client, ministack
from scripts import stack
from scripts.stack import Stack, StackError
from tests.terraform.requirements import require_terraform

CONFIGURATION = """
variable "stage" { type = string }
variable "command" { default = "true" }
resource "terraform_data" "first" { input = var.stage }
resource "terraform_data" "second" {
  input      = var.command
  depends_on = [terraform_data.first]
  provisioner "local-exec" { command = var.command }
}
output "stage" { value = terraform_data.first.output }
"""

Make = Callable[[str], Stack]


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    require_terraform()
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    monkeypatch.setattr(stack.terraform_cli, "init_arguments", list)
    environments = tmp_path / "terraform" / "environments"
    environments.mkdir(parents=True)
    (tmp_path / "terraform" / "main.tf").write_text(CONFIGURATION)

    def make_stack(stage: str) -> Stack:
        (environments / f"{stage}.tfvars").write_text(f'stage = "{stage}"\n')
        package(tmp_path, stage)
        return Stack(stage, tmp_path)

    return make_stack


def package(root: Path, stage: str) -> None:
    module = root / "terraform" / "modules" / "app"
    module.mkdir(parents=True, exist_ok=True)
    function = {"tags": {"aws-chalice": f"version=1.34.0:stage={stage}:app=x"}}
    text = json.dumps({"resource": {"aws_lambda_function": {"connect": function}}})
    (module / "chalice.tf.json").write_text(text)


def variables(of: Stack, text: str) -> None:
    (of.environments / f"{of.stage}.tfvars").write_text(f'stage = "{of.stage}"\n{text}\n')


@pytest.mark.parametrize("stage", ["default", "nowhere", "../dev", "", "prod dev"])
def test_an_unknown_stage_is_refused(make: Make, stage: str) -> None:
    root = make("dev").root
    with pytest.raises(StackError, match="the stages are dev"):
        stack.run(Stack(stage, root), "plan")
    assert not (root / "build").exists()


def test_a_package_for_another_stage_is_refused(make: Make) -> None:
    dev, prod = make("dev"), make("prod")
    with pytest.raises(StackError, match="made for stage prod, not dev"):
        stack.run(dev, "plan")
    stack.run(prod, "plan")


def test_no_package_is_refused(make: Make) -> None:
    dev = make("dev")
    (dev.terraform_folder / "modules" / "app" / "chalice.tf.json").unlink()
    with pytest.raises(StackError, match="make package STAGE=dev"):
        stack.run(dev, "plan")


def test_a_misspelt_variable_is_refused_and_leaves_no_plan(make: Make) -> None:
    dev = make("dev")
    variables(dev, 'comand = "true"')
    with pytest.raises(StackError, match="a variable that there is not"):
        stack.run(dev, "plan")
    assert not dev.plan_file.exists()


def test_nothing_is_applied_without_a_plan(make: Make) -> None:
    with pytest.raises(StackError, match="make plan STAGE=dev"):
        stack.run(make("dev"), "apply")


def test_prod_is_not_destroyed_without_its_name(make: Make) -> None:
    prod = make("prod")
    stack.run(prod, "deploy")
    with pytest.raises(StackError, match="--confirm prod"):
        stack.run(prod, "destroy")
    with pytest.raises(StackError, match="--confirm prod"):
        stack.run(prod, "destroy", confirmed="dev")
    stack.run(prod, "destroy", confirmed="prod")


def test_a_plan_is_applied_once_and_the_next_is_empty(
    make: Make, capfd: pytest.CaptureFixture[str]
) -> None:
    dev = make("dev")
    stack.run(dev, "plan")
    stack.run(dev, "apply")
    with pytest.raises(StackError):
        stack.run(dev, "apply")
    capfd.readouterr()
    stack.run(dev, "plan")
    assert "No changes" in capfd.readouterr().out


def test_an_apply_that_failed_half_way_is_run_again(make: Make) -> None:
    dev = make("dev")
    variables(dev, 'command = "false"')
    with pytest.raises(StackError, match="terraform apply has failed"):
        stack.run(dev, "deploy")
    variables(dev, "")
    stack.run(dev, "deploy")


def test_two_stages_side_by_side_have_their_own_state(
    make: Make, capfd: pytest.CaptureFixture[str]
) -> None:
    for stage in ("dev", "staging"):
        stack.run(make(stage), "deploy")
    root = make("dev").root
    stack.run(Stack("dev", root), "destroy")
    capfd.readouterr()
    stack.run(Stack("staging", root), "output", "stage")
    assert capfd.readouterr().out == "staging"


def test_a_second_apply_at_the_same_time_is_shown_the_lock(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(stack, "LOCK_TIMEOUT", "0s")
    dev = make("dev")
    begun, go = tmp_path / "begun", tmp_path / "go"
    wait = f"touch {begun}; for i in $(seq 400); do test -e {go} && exit; sleep 0.05; done; exit 1"
    variables(dev, f'command = "{wait}"')
    first = threading.Thread(target=stack.run, args=(dev, "deploy"))
    first.start()
    try:
        while not begun.exists():
            assert first.is_alive()
        with pytest.raises(StackError, match="terraform plan has failed"):
            dev.plan()
        assert "Error acquiring the state lock" in capfd.readouterr().out
    finally:
        go.touch()
        first.join()


def test_a_backend_file_puts_the_state_where_it_says(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    dev, staging = make("dev"), make("staging")
    with ministack() as endpoint_url:
        client("s3", endpoint_url).create_bucket(Bucket="state-of-broadcast")
        backend = dev.environments / "dev.s3.tfbackend"
        backend.write_text(
            'bucket = "state-of-broadcast"\nkey = "stack.tfstate"\nregion = "us-east-1"\n'
            "use_lockfile = true\nuse_path_style = true\n"
        )
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint_url)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        package(dev.root, "dev")
        stack.run(dev, "deploy")
        package(dev.root, "staging")
        stack.run(staging, "deploy")
        stored = client("s3", endpoint_url).list_objects_v2(Bucket="state-of-broadcast")
    assert [item["Key"] for item in stored["Contents"]] == ["env:/dev/stack.tfstate"]
    states = dev.terraform_folder / "terraform.tfstate.d"
    assert [path.name for path in states.iterdir()] == ["staging"]
