"""What the configuration plans and what it refuses, without AWS: `terraform test`, with a mock."""

import json
import re

import pytest
from chalice.config import Config

from operations.terraform_cli import TerraformError
from tests.terraform.configuration import ROOT, Configuration
from tests.terraform.conftest import OF_VARIABLES, Plan

BY_STAGE = {"plans"}
"""Terraform's test files that need a stage's own file."""

FILES = sorted(
    path.name.removesuffix(".tftest.hcl") for path in (ROOT / "terraform" / "tests").glob("*.hcl")
)

NAMES = ("name", "function_name", "alarm_name", "dashboard_name")


def test_the_configuration_is_formatted(configuration: Configuration) -> None:
    configuration.run("fmt", "-check", "-diff", "-recursive")


def test_terraform_tests_pass(configuration: Configuration) -> None:
    configuration.package("dev")
    files = sorted(set(FILES) - BY_STAGE - set(OF_VARIABLES))
    run = configuration.run
    run("test", *(f"-filter=tests/{name}.tftest.hcl" for name in files), workspace="dev")


def test_wrong_values_are_refused(variables: Configuration) -> None:
    variables.run("test", "-filter=tests/validations.tftest.hcl", workspace="dev")


@pytest.mark.parametrize("name", ["Dev", "1dev", "seventeen-letters", "default"])
def test_a_stage_name_that_is_no_name_is_refused(variables: Configuration, name: str) -> None:
    test = "-filter=tests/stage_names.tftest.hcl"
    variables.run("test", test, f"-var=stage={name}", workspace=name)


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("settings={MAX_LISTENERS_PER_SESSION=-1}", "a number greater than 0"),
        ("settings={MAX_LISTENER=500}", "MAX_LISTENERS_PER_SESSION, maximum number"),
        ("timeout_seconds={message=60}", "API Gateway waits 29 s"),
        ("timeout_seconds={disconnect=24}", "plan for 20 s per event"),
        ("timeout_seconds={outcome=24}", "plan for 20 s per event"),
        ("timeout_seconds={sweep=29}", "a whole number from 150 to 900"),
        ("timeout_seconds={interpreter=29}", "timeout of interpreter must be"),
        ("settings={CAPTIONS_KEPT_SECONDS=-1}", "CAPTIONS_KEPT_SECONDS must be"),
        ("pipeline_function=my pipeline", "pipeline_function must be"),
        (
            "pipeline_function=arn:aws:lambda:eu-west-1:123456789012:function:other",
            "pipeline_function must be in the stack's region",
        ),
        ("speech=yes", "speech must be on or off"),
        ('media_origins=["live.example.com"]', "media_origins must be"),
        ('alarm_emails=["nobody"]', "must be email addresses"),
        ("stage=prod", "the workspace is dev"),
        ("python_version=3.14", "must be 3.11, 3.12 or 3.13"),
        ("region=cn-north-1", "in one of the partitions aws and aws-us-gov"),
        (
            "settings={CONNECTION_REFRESH_MINUTES=200}",
            "must be less than CONNECTION_WARNING_MINUTES",
        ),
        ("settings={HEARTBEAT_TIMEOUT_SECONDS=60}", "at least 3 times HEARTBEAT_INTERVAL_SECONDS"),
        (
            "settings={RATE_LIMIT_HEARTBEATS_PER_MIN=1}",
            "heartbeats that the service requests exceed the limit",
        ),
        ("alarms=some", "none, essential or all"),
        (
            'sign_in_page={domain_prefix="cognito-hall",callback_urls=[],logout_urls=[]}',
            "can't contain aws, amazon or cognito",
        ),
    ],
)
def test_what_is_refused_is_refused_with_the_reason(
    variables: Configuration, value: str, why: str
) -> None:
    file = "-var-file=environments/dev.tfvars"
    with pytest.raises(TerraformError) as refused:
        variables.run("plan", "-input=false", file, f"-var={value}", workspace="dev")
    assert why in " ".join(str(refused.value).split())


def test_every_name_carries_the_stage(plan: Plan) -> None:
    # A policy's name is within its role, and an ARN is no name, but what the mocked AWS makes up.
    resources = {
        type_: all_ for type_, all_ in plan.resources.items() if type_ != "aws_iam_role_policy"
    }
    names = [
        f"{type_} {resource[attribute]}"
        for type_, of_type in resources.items()
        for resource in of_type
        for attribute in NAMES
        if resource.get(attribute) and not resource[attribute].startswith("arn:")
    ]
    assert names
    without = [name for name in names if plan.stage not in re.split("[ /-]", name)]
    assert without == []


def test_only_prod_is_protected_from_deletion(plan: Plan) -> None:
    is_prod = plan.stage == "prod"
    for table in plan.resources["aws_dynamodb_table"]:
        assert table["deletion_protection_enabled"] is is_prod, table["name"]
    (pool,) = plan.resources["aws_cognito_user_pool"]
    assert pool["deletion_protection"] == ("ACTIVE" if is_prod else "INACTIVE")


def test_prod_and_staging_can_be_set_back_but_for_captions_and_hashes_of_addresses(
    plan: Plan,
) -> None:
    for table in plan.resources["aws_dynamodb_table"]:
        (recovery,) = table["point_in_time_recovery"]
        expires = table["name"].endswith(("-captions", "-rate_limits"))
        is_recoverable = plan.stage in {"prod", "staging"} and not expires
        assert recovery["enabled"] is is_recoverable, table["name"]


def test_connects_are_not_throttled_to_nothing(plan: Plan) -> None:
    (stage,) = plan.resources["aws_apigatewayv2_stage"]
    (settings,) = stage["default_route_settings"]
    assert settings["throttling_rate_limit"] > 0
    assert settings["throttling_burst_limit"] > 0


def test_every_log_ends_some_day(plan: Plan) -> None:
    assert len(plan.resources["aws_cloudwatch_log_group"]) >= len(functions(plan))
    for group in plan.resources["aws_cloudwatch_log_group"]:
        assert group["retention_in_days"] > 0, group["name"]


def test_every_function_has_a_role_of_its_own(plan: Plan) -> None:
    assert len(plan.resources["aws_iam_role"]) == len(functions(plan))
    assert len(plan.resources["aws_iam_role_policy"]) == len(functions(plan))


def test_a_function_has_as_long_on_the_local_server(plan: Plan) -> None:
    held = json.loads((ROOT / ".chalice" / "config.json").read_text())
    config = Config(chalice_stage="local", config_from_disk=held)
    for function in plan.resources["aws_lambda_function"]:
        name = function["function_name"].removeprefix(f"broadcast-sessions-{plan.stage}-")
        assert function["timeout"] == config.scope("local", name).lambda_timeout, name


def test_every_function_and_table_is_watched(whole: Plan) -> None:
    alarms = whole.resources["aws_cloudwatch_metric_alarm"]
    for function in functions(whole):
        of_function = [
            alarm for alarm in alarms if alarm["dimensions"] == {"FunctionName": function}
        ]
        assert {alarm["metric_name"] for alarm in of_function} == {
            "Duration",
            "Errors",
            "Throttles",
        }
    for table in whole.resources["aws_dynamodb_table"]:
        queries = [query for alarm in alarms for query in alarm["metric_query"]]
        of_table = [it for it in queries if f"'{table['name']}'" in (it["expression"] or "")]
        assert len(of_table) == len({"throttles", "system errors"})


def functions(plan: Plan) -> list[str]:
    return [function["function_name"] for function in plan.resources["aws_lambda_function"]]
