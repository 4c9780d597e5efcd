"""The commands for a stage, with a configuration that needs no provider."""

import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from local_gateway.aws import client, ministack
from operations import credentials, running_emulation, stack, terraform_cli, terraform_stack, tfvars
from operations.consent import ConsentError
from operations.credentials import CredentialsError
from operations.running_emulation import EmulationError, RunningEmulation
from operations.terraform_stack import Stack, StackError
from tests.terraform.requirements import require_terraform

CONFIGURATION = """
variable "stage" { type = string }
variable "command" { default = "true" }
variable "python_version" { default = null }
resource "terraform_data" "first" { input = var.stage }
resource "terraform_data" "second" {
  input      = var.command
  depends_on = [terraform_data.first]
  provisioner "local-exec" { command = var.command }
}
output "stage" { value = terraform_data.first.output }
output "sizes" { value = { small = 1 } }
"""

FAKE_TERRAFORM = f"""#!{sys.executable}
import os, pathlib, shutil, signal, sys

folder, command, *arguments = sys.argv[1:]
work = pathlib.Path(folder.removeprefix("-chdir="))
here = pathlib.Path(__file__).parent

def wait_for(end):
    os.read(0, 1)
    for line in range(20_000):
        print(end, line)
    (here / "end").write_text(end)
    sys.exit(end != "applied")

if command == "plan":
    outs = [word.removeprefix("-out=") for word in arguments if word.startswith("-out=")]
    pathlib.Path(outs[0]).touch()
elif command == "apply" and (here / "unsaved").exists():
    shutil.move(here / "unsaved", work / "errored.tfstate")
    sys.exit(1)
elif command == "apply":
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: (print("stopping", flush=True), wait_for("stopped")))
    print("applying", flush=True)
    wait_for("applied")
"""
"""Applies until a line arrives on its input. After an interrupt it stops on that line instead."""

ANY_CREDENTIALS = """
class CredentialsError(Exception): pass
def check(region): pass
"""
"""Accepts all credentials without a call to AWS."""

GUIDES = terraform_stack.ROOT / "docs" / "how-to"
OPERATIONS = (
    "operations/consent.py",
    "operations/credentials.py",
    "operations/running_emulation.py",
    "operations/stack.py",
    "operations/stage_checks.py",
    "operations/stage_outputs.py",
    "operations/terraform_cli.py",
    "operations/terraform_stack.py",
    "operations/tfvars.py",
)
"""The command and the modules of `operations` that it imports."""

Make = Callable[[str], Stack]


class Terminal(io.StringIO):
    """A terminal with typed input. It can also act when the input is read."""

    def __init__(self, typed: str = "", act: Callable[[], object] = lambda: None) -> None:
        super().__init__(typed)
        self.act = act

    def isatty(self) -> bool:
        return True

    def readline(self, size: int | None = -1, /) -> str:
        self.act()
        return super().readline()


def press_control_c() -> None:
    raise KeyboardInterrupt


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    require_terraform()
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    monkeypatch.setattr(terraform_cli, "init_arguments", list)
    monkeypatch.setattr(credentials, "check", lambda region: None)
    monkeypatch.setattr(running_emulation, "FILE", tmp_path / "build" / "emulate.json")
    environments = tmp_path / "terraform" / "environments"
    environments.mkdir(parents=True)
    (tmp_path / "terraform" / "main.tf").write_text(CONFIGURATION)
    (tmp_path / "chalicelib").mkdir()
    (tmp_path / "chalicelib" / "tables.json").write_text("{}")

    def make_stack(stage: str) -> Stack:
        (environments / f"{stage}.tfvars").write_text(f'stage = "{stage}"\n')
        package(tmp_path, stage)
        return Stack(stage, tmp_path)

    return make_stack


def package(root: Path, stage: str, runtime: str = "python3.11") -> None:
    module = root / "terraform" / "modules" / "app"
    module.mkdir(parents=True, exist_ok=True)
    tags = {"aws-chalice": f"version=1.34.0:stage={stage}:app=x"}
    function = {"tags": tags, "runtime": runtime}
    text = json.dumps({"resource": {"aws_lambda_function": {"connect": function}}})
    (module / "chalice.tf.json").write_text(text)
    (module / "deployment.zip").write_bytes(b"zip")


def copy_operations(root: Path) -> Path:
    for name in OPERATIONS:
        (root / name).parent.mkdir(exist_ok=True)
        shutil.copy(Path(stack.__file__).parents[1] / name, root / name)
    return root


def resource_count(of: Stack) -> int:
    return len(json.loads(local_state(of).read_text())["resources"])


def local_state(of: Stack) -> Path:
    return of.local_states / of.stage / "terraform.tfstate"


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


@pytest.mark.parametrize("verb", ["plan", "deploy"])
def test_a_package_of_another_python_is_refused(make: Make, verb: str) -> None:
    dev = make("dev")
    variables(dev, 'python_version = "3.13"')
    with pytest.raises(StackError, match=r"make PYTHON=python3\.13 package STAGE=dev"):
        stack.run(dev, verb)
    assert not (dev.data_folder / "data").exists()
    package(dev.root, "dev", "python3.13")
    stack.run(dev, verb)


def test_a_stage_without_a_python_version_accepts_any_package(make: Make) -> None:
    dev = make("dev")
    variables(dev, '# python_version = "3.13"')
    stack.run(dev, "plan")


def test_a_package_of_another_python_does_not_prevent_a_destroy(make: Make) -> None:
    dev = make("dev")
    stack.run(dev, "deploy")
    variables(dev, 'python_version = "3.13"')
    stack.run(dev, "destroy", confirmed="dev")
    assert resource_count(dev) == 0


def test_a_missing_package_is_refused(make: Make) -> None:
    dev = make("dev")
    (dev.terraform_folder / "modules" / "app" / "chalice.tf.json").unlink()
    with pytest.raises(StackError, match="make package STAGE=dev"):
        stack.run(dev, "plan")


@pytest.mark.parametrize("verb", ["plan", "deploy", "destroy"])
def test_a_misspelled_variable_is_refused_before_anything_is_planned(
    make: Make, verb: str, capfd: pytest.CaptureFixture[str]
) -> None:
    dev = make("dev")
    variables(dev, 'comand = "true"')
    with pytest.raises(StackError, match=r"environments/dev\.tfvars sets comand.*mean command\?"):
        stack.run(dev, verb, confirmed="dev")
    assert capfd.readouterr().out == ""
    assert not dev.copy.exists()


def test_a_misspelled_variable_that_only_terraform_notices_leaves_no_plan(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tfvars, "find_unknown", lambda *_: None)
    dev = make("dev")
    variables(dev, 'comand = "true"')
    with pytest.raises(StackError, match="a variable that the stack doesn't declare"):
        stack.run(dev, "plan")
    assert not dev.plan_file.exists()


@pytest.mark.parametrize("verb", ["plan", "deploy", "destroy", "apply"])
def test_credentials_are_checked_before_terraform_runs(
    make: Make, monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    dev = make("dev")
    stack.run(dev, "plan")
    asked: list[str] = []

    def refuse(region: str) -> None:
        asked.append(region)
        raise CredentialsError("there are no AWS credentials")

    monkeypatch.setattr(credentials, "check", refuse)
    monkeypatch.setattr(Stack, "_terraform", lambda *_: pytest.fail("Terraform runs"))
    with pytest.raises(StackError, match="no AWS credentials"):
        stack.run(dev, verb, confirmed="dev")
    assert asked == ["us-east-1"]
    assert dev.plan_file.exists() == (verb == "apply")


def test_credentials_are_checked_in_the_stages_region(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    monkeypatch.setattr(credentials, "check", asked.append)
    dev = make("dev")
    with (dev.terraform_folder / "main.tf").open("a") as file:
        file.write('variable "region" {}\n')
    variables(dev, 'region = "eu-central-1"')
    stack.run(dev, "plan")
    assert asked == ["eu-central-1"]


def test_without_credentials_a_plan_fails_with_one_line(make: Make) -> None:
    dev = make("dev")
    done = subprocess.run(
        [sys.executable, "-m", "operations.stack", "plan", "dev"],
        cwd=copy_operations(dev.root),
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(dev.root),
            "AWS_EC2_METADATA_DISABLED": "true",
        },
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("stack: there are no AWS credentials; ")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("name", [None, "stage"])
def test_outputs_of_a_stage_that_is_not_deployed_are_refused(
    make: Make, capfd: pytest.CaptureFixture[str], name: str | None
) -> None:
    with pytest.raises(StackError, match=r"dev is not deployed.*make deploy STAGE=dev$"):
        stack.run(make("dev"), "output", name)
    assert capfd.readouterr().out == ""


def test_outputs_are_printed_and_one_of_an_unknown_name_is_refused(
    make: Make, capfd: pytest.CaptureFixture[str]
) -> None:
    dev = make("dev")
    stack.run(dev, "deploy")
    capfd.readouterr()
    for name, printed in (
        ("stage", "dev\n"),
        ("sizes", '{"small": 1}\n'),
        (None, 'sizes = {\n  "small": 1\n}\nstage = "dev"\n'),
    ):
        stack.run(dev, "output", name)
        assert capfd.readouterr().out == printed
    with pytest.raises(StackError, match="dev has no output 'stag'; its outputs are sizes, stage"):
        stack.run(dev, "output", "stag")
    assert capfd.readouterr().out == ""


def test_outputs_in_a_bucket_need_credentials(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(region: str) -> None:
        raise CredentialsError("there are no AWS credentials")

    monkeypatch.setattr(credentials, "check", refuse)
    dev = make("dev")
    keep_state_in_bucket(dev)
    with pytest.raises(StackError, match="no AWS credentials"):
        stack.run(dev, "output")


def test_outputs_of_a_running_emulation_are_printed(
    make: Make, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    local = make("local")
    with pytest.raises(EmulationError, match="make emulate"):
        stack.run(local, "output")
    running = RunningEmulation({"AWS_ENDPOINT_URL": "http://127.0.0.1:1"}, {"url": "ws://here"})
    with running_emulation.claim() as claimed:
        running_emulation.announce(claimed, running)
        stack.run(local, "output", "url")
    assert capfd.readouterr().out == "ws://here\n"


def test_nothing_is_applied_without_a_plan(make: Make) -> None:
    with pytest.raises(StackError, match="make plan STAGE=dev"):
        stack.run(make("dev"), "apply")


@pytest.mark.parametrize("stage", ["dev", "prod"])
def test_without_a_terminal_a_destroy_needs_confirm(make: Make, stage: str) -> None:
    of = make(stage)
    stack.run(of, "deploy", confirmed=stage)
    with pytest.raises(ConsentError, match=f"make destroy STAGE={stage} CONFIRM={stage}"):
        stack.run(of, "destroy")
    assert resource_count(of) == 2
    stack.run(of, "destroy", confirmed=stage)
    assert resource_count(of) == 0


@pytest.mark.parametrize("verb", ["deploy", "destroy"])
def test_the_confirmation_of_another_stage_is_refused(make: Make, verb: str) -> None:
    with pytest.raises(ConsentError, match="--confirm prod"):
        stack.run(make("prod"), verb, confirmed="dev")


def test_without_a_terminal_a_deploy_of_prod_needs_confirm(make: Make) -> None:
    with pytest.raises(ConsentError, match="make deploy STAGE=prod CONFIRM=prod"):
        stack.run(make("prod"), "deploy")


def test_with_a_closed_input_a_destroy_needs_confirm(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    dev = make("dev")
    sys.stdin.close()
    with pytest.raises(ConsentError, match="--confirm dev"):
        stack.run(dev, "destroy")
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(ConsentError, match="--confirm dev"):
        stack.run(dev, "destroy")


@pytest.mark.parametrize("stage", ["dev", "prod"])
def test_a_yes_destroys_only_an_unguarded_stage(
    make: Make, monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    of = make(stage)
    stack.run(of, "deploy", confirmed=stage)
    monkeypatch.setattr(sys, "stdin", Terminal("yes\n"))
    try:
        stack.run(of, "destroy")
    except ConsentError:
        assert stage == "prod"
    assert resource_count(of) == (2 if stage == "prod" else 0)


@pytest.mark.parametrize("verb", ["deploy", "destroy"])
@pytest.mark.parametrize(
    ("terminal", "ending"),
    [
        (Terminal("no\n"), ConsentError),
        (Terminal(""), ConsentError),
        (Terminal(act=press_control_c), KeyboardInterrupt),
    ],
    ids=["a no", "end of input", "Ctrl-C"],
)
def test_an_unconfirmed_change_leaves_no_plan(
    make: Make,
    monkeypatch: pytest.MonkeyPatch,
    verb: str,
    terminal: Terminal,
    ending: type[BaseException],
) -> None:
    dev = make("dev")
    stack.run(dev, "plan")
    monkeypatch.setattr(sys, "stdin", Terminal(terminal.getvalue(), terminal.act))
    with pytest.raises(ending):
        stack.run(dev, verb)
    assert list(dev.root.rglob("*.tfplan")) == []
    with pytest.raises(StackError, match="there is no plan"):
        stack.run(dev, "apply")


def test_apply_ignores_the_plan_of_a_killed_destroy(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    dev = make("dev")
    stack.run(dev, "deploy")
    left = dev.root / "left"
    keep = Terminal("no\n", act=lambda: shutil.copy(dev.unconfirmed_plan_file, left))
    monkeypatch.setattr(sys, "stdin", keep)
    with pytest.raises(ConsentError, match="nothing was changed"):
        stack.run(dev, "destroy")
    shutil.copy(left, dev.unconfirmed_plan_file)
    with pytest.raises(StackError, match="there is no plan"):
        stack.run(dev, "apply")


def test_a_plan_is_applied_after_packaging_the_same_bytes_but_after_no_change_of_the_files(
    make: Make,
) -> None:
    dev = make("dev")
    stack.run(dev, "plan")
    for path in (
        "terraform/modules/app/deployment.zip",
        "terraform/modules/app/chalice.tf.json",
        "terraform/main.tf",
        "terraform/.terraform.lock.hcl",
        "terraform/environments/dev.tfvars",
        "terraform/environments/dev.s3.tfbackend",
        "chalicelib/tables.json",
    ):
        file = dev.root / path
        before = file.read_text() if file.exists() else None
        with file.open("a") as appended:
            appended.write(" ")
        refusal = f"changed since the plan was made: {path}; .* make plan"
        with pytest.raises(StackError, match=refusal):
            stack.run(dev, "apply")
        if before is None:
            file.unlink()
        else:
            file.write_text(before)
    assert not local_state(dev).exists()
    package(dev.root, "dev")
    stack.run(dev, "apply")


def test_an_edit_during_the_question_of_a_deploy_is_not_applied(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    dev = make("dev")
    module = dev.terraform_folder / "modules" / "app"
    variables(dev, f'command = "cp modules/app/deployment.zip {dev.root}/seen"')
    remake = Terminal("yes\n", act=lambda: (module / "deployment.zip").write_bytes(b"prod's"))
    monkeypatch.setattr(sys, "stdin", remake)
    stack.run(dev, "deploy")
    assert (dev.root / "seen").read_bytes() == b"zip"


@pytest.mark.parametrize("verb", ["plan", "apply", "deploy", "destroy"])
def test_the_stage_local_is_refused_without_an_emulator(
    make: Make, monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with pytest.raises(StackError, match="AWS_ENDPOINT_URL names none"):
        stack.run(make("local"), verb, confirmed="local")


def test_the_stage_local_is_planned_on_an_emulator(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    stack.run(make("local"), "plan")
    monkeypatch.setenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true")
    with pytest.raises(StackError, match="AWS_ENDPOINT_URL names none"):
        stack.run(make("local"), "plan")


def test_terraforms_own_environment_variables_are_ignored(
    make: Make, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TF_WORKSPACE", "prod")
    monkeypatch.setenv("TF_VAR_command", "false")
    monkeypatch.setenv("TF_CLI_ARGS_plan", "-destroy")
    dev = make("dev")
    stack.run(dev, "deploy")
    assert resource_count(dev) == 2
    assert capsys.readouterr().err.count("TF_CLI_ARGS_plan, TF_VAR_command, TF_WORKSPACE") == 1


def test_a_second_name_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["stack", "destroy", "dev", "prod"])
    with pytest.raises(SystemExit):
        stack.main()
    assert "destroy takes one stage" in capsys.readouterr().err


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


def test_a_deploy_can_be_repeated_after_a_failed_apply(make: Make) -> None:
    dev = make("dev")
    variables(dev, 'command = "false"')
    with pytest.raises(StackError, match="terraform apply has failed"):
        stack.run(dev, "deploy")
    variables(dev, "")
    stack.run(dev, "deploy")


def test_each_stage_has_its_own_state(make: Make, capfd: pytest.CaptureFixture[str]) -> None:
    for stage in ("dev", "staging"):
        stack.run(make(stage), "deploy")
    root = make("dev").root
    stack.run(Stack("dev", root), "destroy", confirmed="dev")
    capfd.readouterr()
    stack.run(Stack("staging", root), "output", "stage")
    assert capfd.readouterr().out == "staging\n"


def test_a_concurrent_plan_prints_the_lock_of_the_state(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(terraform_stack, "LOCK_TIMEOUT", "0s")
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
            stack.plan(dev)
        assert "Error acquiring the state lock" in capfd.readouterr().out
    finally:
        go.touch()
        first.join()


def test_a_concurrent_command_for_the_same_stage_is_refused(make: Make) -> None:
    dev, staging = make("dev"), make("staging")
    with dev.lock():
        stack.run(staging, "plan")
        for verb in ("plan", "apply", "deploy", "output"):
            with pytest.raises(StackError, match="another command for dev is running"):
                stack.run(Stack("dev", dev.root), verb)
    package(dev.root, "dev")
    stack.run(dev, "plan")


def test_a_state_written_by_terraform_alone_is_used(
    make: Make, capfd: pytest.CaptureFixture[str]
) -> None:
    dev = make("dev")
    for words in ("init", "workspace new dev", "apply -auto-approve -var=stage=dev"):
        subprocess.run(["terraform", *words.split()], cwd=dev.terraform_folder, check=True)
    stack.run(dev, "plan")
    assert "No changes" in capfd.readouterr().out


def test_a_deploy_adds_only_the_state_to_the_terraform_folder(make: Make) -> None:
    dev = make("dev")
    before = {path.name for path in dev.terraform_folder.iterdir()}
    stack.run(dev, "deploy")
    after = {path.name for path in dev.terraform_folder.iterdir()}
    assert after - before == {"terraform.tfstate.d", ".terraform"}


def test_a_removed_file_is_removed_from_the_copy(make: Make) -> None:
    dev = make("dev")
    (dev.terraform_folder / "old.auto.tfvars").write_text('command = "false"')
    stack.run(dev, "plan")
    (dev.terraform_folder / "old.auto.tfvars").unlink()
    stack.run(dev, "deploy")


def test_the_documented_commands_rotate_the_hash_key(make: Make) -> None:
    dev = make("dev")
    application = (terraform_stack.ROOT / "terraform" / "modules" / "app" / "main.tf").read_text()
    block = re.search(r'^resource "terraform_data" "hash_key".*?^}', application, re.M | re.S)
    taint = re.search(r"^TF_DATA_DIR=.*\n.* taint .*", (GUIDES / "operate.md").read_text(), re.M)
    assert block
    assert taint
    key = dev.terraform_folder / "modules" / "key"
    key.mkdir()
    (key / "main.tf").write_text(block[0])
    with (dev.terraform_folder / "main.tf").open("a") as file:
        file.write('module "app" { source = "./modules/key" }\n')

    stack.run(dev, "deploy")
    first = hash_key(dev)
    stack.run(dev, "plan")
    assert hash_key(dev) == first
    subprocess.run(taint[0], shell=True, cwd=dev.root, check=True)
    stack.run(dev, "deploy")
    assert hash_key(dev) != first


def hash_key(of: Stack) -> str:
    resources = json.loads(local_state(of).read_text())["resources"]
    (key,) = (it for it in resources if it["name"] == "hash_key")
    return str(key["instances"][0]["attributes"]["triggers_replace"]["value"])


@pytest.fixture(scope="module")
def emulator() -> Iterator[str]:
    with ministack() as endpoint_url:
        yield endpoint_url


@pytest.fixture
def bucket(emulator: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Create a bucket for states, and delete it with its objects afterwards."""
    s3 = client("s3", emulator)
    s3.create_bucket(Bucket="states")
    monkeypatch.setenv("AWS_ENDPOINT_URL", emulator)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    yield emulator
    for stored in s3.list_objects_v2(Bucket="states").get("Contents", []):
        s3.delete_object(Bucket="states", Key=stored["Key"])
    s3.delete_bucket(Bucket="states")


def keep_state_in_bucket(of: Stack, key: str = "stack.tfstate") -> None:
    of.backend_file.write_text(
        f'bucket = "states"\nkey = "{key}"\nregion = "us-east-1"\n'
        "use_lockfile = true\nuse_path_style = true\n"
    )


def test_the_backend_file_decides_where_the_state_is(make: Make, bucket: str) -> None:
    dev, staging = make("dev"), make("staging")
    keep_state_in_bucket(dev)
    for of in (staging, dev, staging):
        package(of.root, of.stage)
        stack.run(of, "deploy")
    stored = client("s3", bucket).list_objects_v2(Bucket="states")
    assert [item["Key"] for item in stored["Contents"]] == ["env:/dev/stack.tfstate"]
    states = dev.terraform_folder / "terraform.tfstate.d"
    assert [path.name for path in states.iterdir()] == ["staging"]


def keep_state_here(of: Stack) -> None:
    of.backend_file.unlink(missing_ok=True)


def keep_state_under_another_key(of: Stack) -> None:
    keep_state_in_bucket(of, "other.tfstate")


MOVES = pytest.mark.parametrize(
    ("before", "after"),
    [
        (keep_state_here, keep_state_in_bucket),
        (keep_state_in_bucket, keep_state_here),
        (keep_state_in_bucket, keep_state_under_another_key),
    ],
    ids=["from here to a bucket", "from a bucket to here", "to another key"],
)


@MOVES
def test_a_changed_backend_is_refused(
    make: Make, bucket: str, before: Callable[[Stack], None], after: Callable[[Stack], None]
) -> None:
    dev = make("dev")
    before(dev)
    stack.run(dev, "deploy")
    shutil.rmtree(dev.root / "build")
    after(dev)
    for verb in ("plan", "deploy", "destroy"):
        with pytest.raises(StackError, match=r"backend file of dev has changed.*#moving-a-state"):
            stack.run(dev, verb, confirmed="dev")
    before(dev)
    stack.run(dev, "plan")


@MOVES
def test_the_documented_commands_move_the_state_of_one_stage(
    make: Make,
    bucket: str,
    before: Callable[[Stack], None],
    after: Callable[[Stack], None],
    capfd: pytest.CaptureFixture[str],
) -> None:
    other, dev = make("staging"), make("dev")
    for of in (other, dev):
        before(of)
        package(of.root, of.stage)
        stack.run(of, "deploy")
    download, _, upload, _ = documented_blocks("Moving a state")
    stack.run(dev, "output")
    shell(download, dev)
    after(dev)
    with pytest.raises(StackError, match="dev is not deployed"):
        stack.run(dev, "output")
    shell(upload, dev)
    capfd.readouterr()
    for of in (dev, other):
        package(of.root, of.stage)
        stack.run(of, "plan")
        assert "No changes" in capfd.readouterr().out


def documented_blocks(heading: str) -> list[str]:
    page = (GUIDES / "manage-state.md").read_text()
    section = page.partition(f"### {heading}\n")[2].partition("\n## ")[0]
    blocks = re.findall(r"^ *```sh\n(.*?)^ *```", section, re.M | re.S)
    return [re.sub(r"^ *make output STAGE=dev\n", "", block, flags=re.M) for block in blocks]


def shell(commands: str, of: Stack) -> None:
    subprocess.run(["bash", "-ec", commands], cwd=of.root, check=True)


def test_a_backend_file_with_a_new_comment_is_accepted(make: Make, bucket: str) -> None:
    dev = make("dev")
    keep_state_in_bucket(dev)
    stack.run(dev, "deploy")
    dev.backend_file.write_text("# Ours.\n" + dev.backend_file.read_text())
    stack.run(dev, "plan")


@pytest.fixture
def fake_terraform(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put a fake Terraform first on the path; return its folder, where it writes how it ended."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "terraform").write_text(FAKE_TERRAFORM)
    (folder / "terraform").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return folder


def test_an_unsaved_state_is_kept_and_blocks_plans(make: Make, fake_terraform: Path) -> None:
    dev = make("dev")
    (fake_terraform / "unsaved").write_text("{}")
    with pytest.raises(StackError, match="terraform apply has failed"):
        stack.run(dev, "deploy")
    shutil.rmtree(dev.root / "build")
    with pytest.raises(
        StackError, match=r"terraform/dev\.errored\.tfstate has the state.*#moving-a-state"
    ):
        stack.run(dev, "plan")
    dev.unsaved_state.unlink()
    stack.run(dev, "plan")


def test_the_documented_commands_push_an_unsaved_state(
    make: Make, bucket: str, capfd: pytest.CaptureFixture[str]
) -> None:
    dev = make("dev")
    stack.run(dev, "deploy")
    shutil.move(local_state(dev), dev.unsaved_state)
    keep_state_in_bucket(dev)
    shutil.rmtree(dev.terraform_data)
    *_, push = documented_blocks("Moving a state")
    with pytest.raises(StackError, match="dev is not deployed"):
        stack.run(dev, "output")
    shell(push, dev)
    capfd.readouterr()
    stack.run(dev, "plan")
    assert "No changes" in capfd.readouterr().out


@pytest.fixture
def applying(make: Make, fake_terraform: Path) -> Iterator[subprocess.Popen[str]]:
    """Start the command of `make apply` in its own process group, and wait for Terraform."""
    dev = make("dev")
    stack.run(dev, "plan")
    copy_operations(dev.root)
    (dev.root / "operations" / "credentials.py").write_text(ANY_CREDENTIALS)
    with subprocess.Popen(
        [sys.executable, "-m", "operations.stack", "apply", "dev"],
        cwd=dev.root,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == "applying\n"
        yield process


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_apply_waits_for_terraform_to_stop(
    applying: subprocess.Popen[str], fake_terraform: Path, number: signal.Signals
) -> None:
    assert applying.stdout
    os.killpg(applying.pid, number)
    assert applying.stdout.readline() == "stopping\n"
    with pytest.raises(subprocess.TimeoutExpired):
        applying.wait(timeout=0.5)
    applying.communicate("\n")
    assert (fake_terraform / "end").read_text() == "stopped"
    assert applying.returncode == 130
    assert list(fake_terraform.parent.rglob("*.tfplan")) == []


def test_an_apply_continues_after_its_terminal_closes(
    applying: subprocess.Popen[str], fake_terraform: Path
) -> None:
    os.killpg(applying.pid, signal.SIGHUP)
    applying.communicate("\n")
    assert (fake_terraform / "end").read_text() == "applied"


def test_an_apply_continues_after_its_output_closes(
    applying: subprocess.Popen[str], fake_terraform: Path
) -> None:
    assert applying.stdin
    assert applying.stdout
    applying.stdout.close()
    applying.stdin.write("\n")
    applying.stdin.close()
    assert applying.wait() == 0
    assert (fake_terraform / "end").read_text() == "applied"
