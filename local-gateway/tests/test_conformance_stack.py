"""The stack of the conformance suite, with a fake of the terraform command."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path

import pytest

from conformance.targets import ministack
from conformance.targets.base import TargetError
from conformance.targets.stack import Stack, applied_stack, find_environment

OUTPUTS = '{"api_ids": {"value": {"two_way": "x"}}, "stage": {"value": "api"}, \
"records_table": {"value": "t"}, "WebsocketAPIId": {"value": "x"}}'

FAKE = """\
#!/bin/sh
echo "$1 $TF_VAR_run" >> "$CALLS"
[ "$1" = output ] && echo '{outputs}'
case " $FAILING " in *" $1 "*) echo "cannot $1" >&2; exit 1;; esac
exit 0
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Replace terraform on the path, and return the folder of the states."""
    fake = tmp_path / "bin" / "terraform"
    fake.parent.mkdir()
    fake.write_text(FAKE.replace("{outputs}", OUTPUTS))
    fake.chmod(0o755)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", f"{fake.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("CALLS", str(tmp_path / "calls"))
    return tmp_path / "chalice-local-gateway" / "conformance"


def calls(home: Path) -> list[str]:
    """Return the commands that terraform got."""
    return [line.split()[0] for line in (home.parents[1] / "calls").read_text().splitlines()]


def test_a_stack_whose_apply_fails_is_destroyed(home: Path) -> None:
    environment = find_environment(FAILING="apply")
    with pytest.raises(TargetError, match="cannot apply"), applied_stack(environment):
        pass

    assert calls(home) == ["init", "apply", "destroy"]
    assert not list(home.iterdir())


def test_a_stack_is_destroyed_after_an_interrupt(home: Path) -> None:
    def interrupt(stack: Stack) -> None:
        assert stack == Stack(api_ids={"two_way": "x"}, stage="api", records_table="t")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), applied_stack(find_environment()) as stack:
        interrupt(stack)

    assert calls(home) == ["init", "apply", "output", "destroy"]
    assert not list(home.iterdir())


def test_the_state_stays_if_the_stack_cannot_be_destroyed(home: Path) -> None:
    environment = find_environment(FAILING="apply destroy", AWS_REGION="eu-west-1")
    with pytest.raises(TargetError) as failed, applied_stack(environment):
        pass

    [folder] = home.iterdir()
    assert "cannot apply" in str(failed.value)
    assert "cannot destroy" in str(failed.value)
    assert str(failed.value).endswith(
        f"run: env AWS_REGION=eu-west-1 TF_VAR_run={folder.name} TF_VAR_management_url= "
        f"terraform -chdir={folder}/terraform destroy"
    )


def test_a_stack_that_terraform_cannot_initialize_leaves_nothing(home: Path) -> None:
    environment = find_environment(FAILING="init")
    with pytest.raises(TargetError, match="cannot init"), applied_stack(environment):
        pass

    assert calls(home) == ["init"]
    assert not list(home.iterdir())


def test_terraform_does_not_use_your_profile_for_ministack(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    environments = []

    @contextmanager
    def failing_stack(environment: Mapping[str, str], management_url: str) -> Iterator[None]:
        environments.append(environment)
        raise TargetError("the end of the test")
        yield

    monkeypatch.setattr(ministack, "ministack", lambda: nullcontext("http://127.0.0.1:1"))
    monkeypatch.setattr(ministack, "applied_stack", failing_stack)
    monkeypatch.setenv("AWS_PROFILE", "sandbox")
    monkeypatch.setenv("AWS_DEFAULT_PROFILE", "sandbox")
    with pytest.raises(TargetError, match="the end"), ministack.TARGET.deployed():
        pass

    [environment] = environments
    assert not environment["AWS_PROFILE"]
    assert not environment["AWS_DEFAULT_PROFILE"]


def test_variables_that_change_the_values_are_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TF_VAR_throttling", '{"rate": 0, "burst": 0}')
    monkeypatch.setenv("TF_WORKSPACE", "other")
    assert not {"TF_VAR_throttling", "TF_WORKSPACE"} & find_environment().keys()
