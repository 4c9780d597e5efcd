"""The environment of a stage for the commands of an operator."""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from operations import running_emulation, stage_environment
from operations.stage_environment import StageError
from operations.terraform_stack import Stack, StackError
from tests.unit.fakes import STAGE_OUTPUTS

ON_AWS = {
    "OUTCOME_FUNCTION": "none",
    "AWS_DEFAULT_REGION": "eu-central-1",
    "AWS_REGION": "eu-central-1",
    "SESSIONS_TABLE": "the-sessions",
    "CONNECTIONS_TABLE": "the-connections",
    "CAPTIONS_TABLE": "the-captions",
    "PIPELINE_FUNCTION": "the-pipeline",
    "CONNECTIONS_URL": "https://abc123.execute-api.eu-central-1.amazonaws.com/dev",
}


def on_aws(monkeypatch: pytest.MonkeyPatch, outputs: Mapping[str, Any]) -> dict[str, str]:
    monkeypatch.setattr(stage_environment, "read_outputs", lambda stack: dict(outputs))
    return stage_environment.on_aws(Stack("dev"))


def test_a_stage_without_the_outputs_is_not_deployed(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(StageError, match=r"dev is not deployed.* make deploy STAGE=dev"):
        on_aws(monkeypatch, {})
    half = {name: it for name, it in STAGE_OUTPUTS.items() if name != "table_names"}
    with pytest.raises(StageError, match="no output table_names"):
        on_aws(monkeypatch, half)


def test_a_stage_that_was_deployed_before_it_had_captions_must_be_deployed_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    old = {name: it for name, it in STAGE_OUTPUTS.items() if name != "pipeline_function"}
    with pytest.raises(StageError, match="no output pipeline_function; deploy it"):
        on_aws(monkeypatch, old)


def test_a_stage_in_another_partition_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    arn = STAGE_OUTPUTS["alarm_topic_arn"].replace("arn:aws:", "arn:aws-cn:")  # type: ignore[attr-defined]
    with pytest.raises(StageError, match="dev is in the partition aws-cn"):
        on_aws(monkeypatch, {**STAGE_OUTPUTS, "alarm_topic_arn": arn})


def test_the_environment_of_a_stage_comes_from_its_outputs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert on_aws(monkeypatch, STAGE_OUTPUTS) == ON_AWS


def test_the_stack_declares_the_outputs_that_an_operator_needs() -> None:
    declared = re.findall(r'output "(\w+)"', Path("terraform/outputs.tf").read_text())
    assert set(stage_environment.OUTPUTS) <= set(declared)


def test_a_stage_without_a_file_is_refused() -> None:
    with pytest.raises(StackError, match="there is no stage 'nowhere'"):
        stage_environment.get_environment("nowhere")


def test_the_stage_local_is_refused_without_a_running_emulator(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(running_emulation, "FILE", tmp_path / "emulate.json")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with pytest.raises(StageError, match="make emulate"):
        stage_environment.get_environment("local")


def test_a_local_server_that_does_not_answer_is_an_error() -> None:
    with pytest.raises(StageError, match="no local server answers on port 9"):
        stage_environment.on_local_server(9)


def test_the_emulators_credentials_replace_all_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "environ", {"AWS_PROFILE": "prod", "AWS_SESSION_TOKEN": "x"})
    stage_environment.enter({"AWS_ACCESS_KEY_ID": "local"})
    assert os.environ == {"AWS_ACCESS_KEY_ID": "local"}


def test_a_stage_on_aws_uses_the_operators_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "environ", {"AWS_PROFILE": "ops", "AWS_DEFAULT_REGION": "us-east-1"})
    stage_environment.enter(ON_AWS)
    assert os.environ == {**ON_AWS, "AWS_PROFILE": "ops"}
