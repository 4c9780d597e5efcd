"""The stack, applied for real to an emulator: two stages in one account, from first to last."""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from devserver import aws
from operations import speaker
from operations.emulate import (
    Emulation,
    apply,
    emulator_environment,
    prepare,
    whereabouts,
)
from operations.speaker import UserPool
from operations.terraform_cli import TerraformError, run
from tests.devserver.plain_http import request
from tests.stories.target import Target, client, until
from tests.terraform.requirements import require_provider

pytestmark = pytest.mark.timeout(300)  # An apply takes half a minute, and a fixture two of them.

NOT_READ_BACK = {"aws_cloudwatch_metric_alarm"}
"""What the emulator has, but tells of so incompletely that Terraform wants to write it again:
ministack 1.5.33's DescribeAlarms leaves most fields out when asked in the Query protocol.
"""

SCHEDULE_SECONDS = 90
"""For a sweep to begin: a minute after its rule was made, and ministack looks every 10 s."""

OVERRIDE = "modules/app/chalice_override.tf"
API = "modules/app/api.tf"


@pytest.fixture(scope="module")
def environment() -> Iterator[dict[str, str]]:
    """Run an account of its own, and say where it is."""
    with aws.ministack() as endpoint_url:
        # ministack 1.5.33 has no PutQueryDefinition; only the file of local says so.
        yield {**emulator_environment(endpoint_url), "TF_VAR_saved_queries": "false"}


@pytest.fixture(scope="module")
def local(environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Emulation:
    with require_provider():
        return apply(prepare(tmp_path_factory.mktemp("local"), environment), environment)


@pytest.fixture(scope="module")
def prepared_dev(environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    with require_provider():
        return prepare(tmp_path_factory.mktemp("dev"), environment, "dev")


@pytest.fixture(scope="module")
def failure(environment: dict[str, str], prepared_dev: Path) -> str:
    """Apply dev where somebody has taken a name, and free the name; return what was said."""
    logs = aws.client("logs", environment["AWS_ENDPOINT_URL"])
    taken = {"logGroupName": "/aws/lambda/broadcast-sessions-dev-message"}
    logs.create_log_group(**taken)
    with pytest.raises(TerraformError) as raised:
        apply(prepared_dev, environment, "dev")
    assert {kind for kind, _ in names(environment, "dev")} >= {"list_tables", "list_functions"}
    logs.delete_log_group(**taken)
    return str(raised.value)


@pytest.fixture(scope="module")
def dev(environment: dict[str, str], prepared_dev: Path, failure: str) -> Emulation:
    """Apply dev once more, after the first time failed half-way."""
    return apply(prepared_dev, environment, "dev")


@pytest.fixture(scope="module")
def destroyed(local: Emulation, dev: Emulation) -> Emulation:
    """Destroy dev, which has served, beside local."""
    assert meets(dev)
    run(dev.folder, dev.environment, "destroy", "-auto-approve", *VARIABLES["dev"])
    return dev


VARIABLES = {
    stage: ("-input=false", f"-var-file=environments/{stage}.tfvars") for stage in ("local", "dev")
}


def changes(stack: Emulation, *arguments: str) -> list[dict[str, Any]]:
    """Plan, and return what would be changed: each resource's type, address and actions."""
    planned = stack.folder / "planned"
    variables = VARIABLES[stack.stage]
    run(stack.folder, stack.environment, "plan", f"-out={planned}", *variables, *arguments)
    plan = json.loads(run(stack.folder, stack.environment, "show", "-json", str(planned)))
    return [
        {**change, "actions": change["change"]["actions"]}
        for change in plan["resource_changes"]
        if change["change"]["actions"] not in (["no-op"], ["read"])
    ]


def deploys_anew(changed: list[dict[str, Any]]) -> bool:
    """Say whether a plan makes a new deployment, and only then removes the old one."""
    actions = [it["actions"] for it in changed if it["type"] == "aws_apigatewayv2_deployment"]
    assert actions in ([], [["create", "delete"]])
    return bool(actions)


def edit(file: str, old: str, new: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        text = (folder / file).read_text()
        assert text.count(old) == 1
        (folder / file).write_text(text.replace(old, new))

    return change


def meets(stack: Emulation) -> bool:
    """Say whether a speaker and a listener meet on a stage's own URL, and leave nothing open."""
    target = Target(stack.url, whereabouts(stack), is_emulator=True)
    speaks = {"action": "createSession", "sourceLanguage": "en"}
    with client(target, token=target.tokens()["IdToken"], **speaks) as speaker:
        session_id = speaker.receive()["sessionId"]
        with client(target) as listener:
            listener.ask(action="joinSession", sessionId=session_id, targetLanguage="es")
            speaker.ask(action="endSession")
            reason = listener.receive()["reason"]
    until(lambda: not target.participants())
    sessions = target.records("SESSIONS_TABLE")
    assert {session["status"]["S"] for session in sessions} <= {"ended"}
    return reason == "speakerEnded"


def names(environment: dict[str, str], stage: str) -> set[tuple[str, str]]:
    """List what there is of a stage in the account, by kind and name, past Terraform's state."""
    prefix = f"broadcast-sessions-{stage}"

    def listed(service: str, operation: str, holder: str, name: str | None) -> set[tuple[str, str]]:
        account = aws.client(service, environment["AWS_ENDPOINT_URL"])
        request = {"MaxResults": 60} if operation == "list_user_pools" else {}
        pages = [getattr(account, operation)(**request)]
        if operation == "describe_alarms":  # 50 to a page
            pages = account.get_paginator(operation).paginate()
        found = [it[name] if name else it for page in pages for it in page[holder]]
        return {(operation, it) for it in found if prefix in it}

    return set[tuple[str, str]]().union(
        listed("dynamodb", "list_tables", "TableNames", None),
        listed("cognito-idp", "list_user_pools", "UserPools", "Name"),
        listed("lambda", "list_functions", "Functions", "FunctionName"),
        listed("logs", "describe_log_groups", "logGroups", "logGroupName"),
        listed("iam", "list_roles", "Roles", "RoleName"),
        listed("apigatewayv2", "get_apis", "Items", "Name"),
        listed("events", "list_rules", "Rules", "Name"),
        listed("sns", "list_topics", "Topics", "TopicArn"),
        listed("cloudwatch", "describe_alarms", "MetricAlarms", "AlarmName"),
        listed("cloudwatch", "list_dashboards", "DashboardEntries", "DashboardName"),
    )


def environments(stack: Emulation) -> list[dict[str, str]]:
    """Return the environment of each of a stage's functions."""
    functions = aws.client("lambda", stack.endpoint_url).list_functions()["Functions"]
    prefix = f"broadcast-sessions-{stack.stage}-"
    ours = [it for it in functions if it["FunctionName"].startswith(prefix)]
    return [function["Environment"]["Variables"] for function in ours]


@pytest.mark.parametrize("headers", [{"Origin": "https://a.example"}, {"Host": "a.example"}])
def test_pages_of_other_sites_do_not_reach_the_emulator(
    local: Emulation, headers: dict[str, str]
) -> None:
    refusal = request(local.endpoint_url, "GET", "/2015-03-31/functions", **headers)
    assert refusal.status == 403
    assert request(local.endpoint_url, "GET", "/2015-03-31/functions").status == 200


def test_a_second_plan_is_empty(local: Emulation) -> None:
    assert {change["type"] for change in changes(local)} <= NOT_READ_BACK


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(
            edit(OVERRIDE, 'route_response_selection_expression = "$default"', ""),
            id="a route",
        ),
        pytest.param(
            edit(OVERRIDE, 'authorization_type = "CUSTOM"', 'authorization_type = "NONE"'),
            id="a route's authorization",
        ),
        pytest.param(
            edit(
                API,
                'authorizer_type = "REQUEST"',
                'authorizer_type = "REQUEST"\n'
                '  identity_sources = ["route.request.querystring.token"]',
            ),
            id="the authorizer's identity sources",
        ),
        pytest.param(
            edit(
                API,
                "authorizer_uri  = aws_lambda_function.authorizer",
                "authorizer_uri  = aws_lambda_function.outcome",
            ),
            id="the authorizer's function",
        ),
    ],
)
def test_a_change_of_the_api_makes_a_new_deployment(
    local: Emulation, restored: None, change: Callable[[Path], None]
) -> None:
    change(local.folder)
    assert deploys_anew(changes(local, "-refresh=false"))


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(
            edit("main.tf", "application = ", 'owner = "operations"\n application = '), id="a tag"
        ),
        pytest.param(
            edit("environments/local.tfvars", "mfa ", "memory_mb = { message = 512 }\nmfa "),
            id="a function's memory",
        ),
        pytest.param(
            lambda folder: (folder / "modules/app/deployment.zip").write_bytes(b"other code"),
            id="the code",
        ),
    ],
)
def test_a_change_of_anything_else_keeps_the_deployment(
    local: Emulation, restored: None, change: Callable[[Path], None]
) -> None:
    change(local.folder)
    changed = changes(local, "-refresh=false")
    assert "aws_lambda_function" in {it["type"] for it in changed}
    assert not deploys_anew(changed)


@pytest.fixture
def restored(local: Emulation) -> Iterator[None]:
    """Put back what a test changes in the copy."""
    folder = local.folder
    files = [
        folder / OVERRIDE,
        folder / API,
        folder / "main.tf",
        folder / "environments/local.tfvars",
        folder / "modules/app/deployment.zip",
    ]
    kept = {file: file.read_bytes() for file in files}
    yield
    for file, content in kept.items():
        file.write_bytes(content)


def test_a_speaker_is_created_whose_address_is_verified_in_any_case(local: Emulation) -> None:
    cognito = aws.client("cognito-idp", local.endpoint_url)
    pool = UserPool.of("local", local.outputs, cognito)
    described = cognito.describe_user_pool(UserPoolId=pool.pool_id)["UserPool"]
    assert described["UsernameConfiguration"] == {"CaseSensitive": False}
    speaker.create(pool, "anna@example.com")
    user = cognito.admin_get_user(UserPoolId=pool.pool_id, Username="anna@example.com")
    assert {"Name": "email_verified", "Value": "true"} in user["UserAttributes"]
    reset = cognito.forgot_password(ClientId=pool.client_id, Username="anna@example.com")
    assert reset["CodeDeliveryDetails"]["DeliveryMedium"] == "EMAIL"


def test_an_apply_that_fails_names_the_obstacle(failure: str) -> None:
    assert "ResourceAlreadyExistsException" in failure
    assert "/aws/lambda/broadcast-sessions-dev-message" in failure


def test_two_stages_serve_side_by_side_though_the_first_apply_of_one_failed_half_way(
    local: Emulation, dev: Emulation
) -> None:
    assert meets(local)
    assert meets(dev)


def test_two_stages_have_as_much_of_each_kind_under_names_of_their_own(
    local: Emulation, dev: Emulation, environment: dict[str, str]
) -> None:
    ours = {(kind, name.replace("-local", "-dev")) for kind, name in names(environment, "local")}
    assert len({kind for kind, _ in ours}) == 10
    # The file of dev asks for neither alarms nor a dashboard.
    unwatched = {it for it in ours if it[0] not in ("describe_alarms", "list_dashboards")}
    assert names(environment, "dev") == unwatched


def test_a_stage_keeps_its_hash_key_which_no_other_stage_has_and_no_plan_shows(
    local: Emulation, dev: Emulation
) -> None:
    before = {stack.stage: {it["HASH_KEY"] for it in environments(stack)} for stack in (local, dev)}
    ((locals_,), (devs,)) = before["local"], before["dev"]
    assert locals_ != devs
    assert len(locals_) == len(devs) == len("01234567-89ab-cdef-0123-456789abcdef")

    settings = '-var=settings={LOG_LEVEL = "ERROR"}'
    changed = {change["type"] for change in changes(local, settings, "-refresh=false")}
    assert changed - NOT_READ_BACK == {"aws_lambda_function"}
    for what in (["show", str(local.folder / "planned")], ["show"]):
        shown = run(local.folder, local.environment, *what)
        assert "HASH_KEY" in shown or "LOG_LEVEL" in shown
        assert locals_ not in shown


def test_each_stage_sweeps_for_itself_by_a_schedule(local: Emulation, dev: Emulation) -> None:
    for stack in (local, dev):
        logs = aws.client("logs", stack.endpoint_url)
        group = f"/aws/lambda/broadcast-sessions-{stack.stage}-sweep"
        deadline = time.monotonic() + SCHEDULE_SECONDS
        while not logs.filter_log_events(logGroupName=group)["events"]:
            assert time.monotonic() < deadline, f"{stack.stage} is not swept"
            time.sleep(1)


def test_destroy_leaves_nothing_of_its_stage(
    destroyed: Emulation, environment: dict[str, str]
) -> None:
    assert names(environment, "dev") == set()
    assert run(destroyed.folder, environment, "state", "list") == ""


def test_destroy_leaves_the_other_stage_serving(destroyed: Emulation, local: Emulation) -> None:
    assert meets(local)
    assert {change["type"] for change in changes(local)} <= NOT_READ_BACK
