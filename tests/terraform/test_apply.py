"""The stack, applied for real to an emulator: two stages in one account, from first to last."""

import json
import re
import shutil
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from gateway_support.plain_http import request
from local_gateway import aws
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
from tests.stories.target import Target, client, until
from tests.terraform.configuration import Configuration
from tests.terraform.requirements import require_provider, running_provider

pytestmark = pytest.mark.timeout(300)  # The first applies take a minute.

NOT_READ_BACK: Final = {"aws_cloudwatch_metric_alarm"}
"""What the emulator has, but tells of so incompletely that Terraform wants to write it again:
ministack 1.5.33's DescribeAlarms leaves most fields out when asked in the Query protocol.
"""

SCHEDULE_SECONDS: Final = 90
"""For a sweep to begin: a minute after its rule was made, and ministack looks every 10 s."""

STAGES: Final = ("local", "dev")

DEPLOYMENT: Final = "aws_apigatewayv2_deployment.websocket_api_deployment"


@dataclass(frozen=True)
class Edit:
    """A change of the text of a file."""

    file: str
    old: str
    new: str

    def make(self, folder: Path) -> None:
        file = folder / self.file
        text = file.read_text()
        assert text.count(self.old) == 1
        file.write_text(text.replace(self.old, self.new))


API_CHANGES: Final = {
    "route": Edit("chalice_override.tf", 'route_response_selection_expression = "$default"', ""),
    "authorization": Edit(
        "chalice_override.tf", 'authorization_type = "CUSTOM"', 'authorization_type = "NONE"'
    ),
    "identity_sources": Edit(
        "api.tf",
        'authorizer_type = "REQUEST"',
        'authorizer_type = "REQUEST"\n  identity_sources = ["route.request.querystring.token"]',
    ),
    "authorizers_function": Edit(
        "api.tf",
        "authorizer_uri  = aws_lambda_function.authorizer",
        "authorizer_uri  = aws_lambda_function.outcome",
    ),
}
"""Changes of the module of the application, each of which changes the API."""

OTHER_CHANGES: Final = (
    Edit("main.tf", "application = ", 'owner = "operations"\n application = '),
    Edit("environments/local.tfvars", "mfa ", "memory_mb = { message = 512 }\nmfa "),
)
"""A tag, and a function's memory."""


@pytest.fixture(scope="module")
def environment() -> Iterator[dict[str, str]]:
    """Run an account of its own, and say where it is."""
    with aws.ministack() as endpoint_url:
        # ministack 1.5.33 has no PutQueryDefinition; only the file of local says so.
        yield {**emulator_environment(endpoint_url), "TF_VAR_saved_queries": "false"}


@dataclass(frozen=True)
class Prepared:
    """An initialized copy of the stack, and the environment that names its running provider."""

    stage: str
    folder: Path
    environment: Mapping[str, str]

    def apply(self) -> Emulation:
        return apply(self.folder, self.environment, self.stage)


@pytest.fixture(scope="module")
def prepared(
    environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Prepared]]:
    """Prepare local, and copy it for dev. The functions of both have the same code."""
    scratch = tmp_path_factory.mktemp("stages")
    with require_provider():
        prepare(scratch / "local", environment)
    shutil.copytree(scratch / "local", scratch / "dev", symlinks=True)
    Configuration(scratch / "dev" / "terraform").configure("dev")
    run(scratch / "dev" / "terraform", environment, "workspace", "select", "-or-create", "dev")
    with ExitStack() as stack:
        copies = {}
        for stage in STAGES:
            folder = scratch / stage / "terraform"
            variables = stack.enter_context(running_provider(folder, environment))
            copies[stage] = Prepared(stage, folder, {**environment, **variables})
        yield copies


@pytest.fixture(scope="module")
def first_applies(
    environment: dict[str, str], prepared: dict[str, Prepared]
) -> dict[str, Future[Emulation]]:
    """Apply both stages at once. A log group of dev already exists, and is deleted afterwards.

    The provider creates one function at a time, and waits 5 s for each.
    """
    logs = aws.client("logs", environment["AWS_ENDPOINT_URL"])
    taken = {"logGroupName": "/aws/lambda/broadcast-sessions-dev-message"}
    logs.create_log_group(**taken)
    with ThreadPoolExecutor() as threads:
        applies = {stage: threads.submit(it.apply) for stage, it in prepared.items()}
    logs.delete_log_group(**taken)
    return applies


@pytest.fixture(scope="module")
def local(first_applies: dict[str, Future[Emulation]]) -> Emulation:
    return first_applies["local"].result()


@pytest.fixture(scope="module")
def failure(environment: dict[str, str], first_applies: dict[str, Future[Emulation]]) -> str:
    """Return the error of the first apply of dev, which fails half-way."""
    with pytest.raises(TerraformError) as raised:
        first_applies["dev"].result()
    assert {kind for kind, _ in names(environment, "dev")} >= {"list_tables", "list_functions"}
    return str(raised.value)


@pytest.fixture(scope="module")
def dev(prepared: dict[str, Prepared], failure: str) -> Emulation:
    """Apply dev once more, after the first time failed half-way."""
    return prepared["dev"].apply()


@pytest.fixture(scope="module")
def destroyed(local: Emulation, dev: Emulation) -> Emulation:
    """Destroy dev, which has served, beside local."""
    assert meets(dev)
    run(dev.folder, dev.environment, "destroy", "-auto-approve", *variables(dev))
    return dev


def variables(stack: Emulation) -> tuple[str, str]:
    return "-input=false", f"-var-file=environments/{stack.stage}.tfvars"


def plan(stack: Emulation, *arguments: str, folder: Path | None = None) -> str:
    """Return a plan as Terraform prints it. `show -json` would load the provider's schema again."""
    return run(folder or stack.folder, stack.environment, "plan", *variables(stack), *arguments)


def changes(planned: str) -> dict[str, str]:
    """Return the sign of each changed resource in a printed plan, such as `~`, by its address."""
    _, _, actions = planned.partition("Terraform will perform the following actions:")
    form = r"^  # (\S+) (?:will|must) be .*\n(?:  # .*\n)*(\+/-|-/\+|  [-+~]) resource "
    found = {address: sign.strip() for address, sign in re.findall(form, actions, re.MULTILINE)}
    counts = re.search(r"^Plan: (\d+) to add, (\d+) to change, (\d+) to destroy", actions, re.M)
    expected = map(int, counts.groups()) if counts else (0, 0, 0)
    assert [sum(sign in it for it in found.values()) for sign in "+~-"] == list(expected)
    assert found or "No changes." in planned
    return found


def types(changed: Mapping[str, str]) -> set[str]:
    return {re.sub(r"^(module\.\w+\.)*", "", address).partition(".")[0] for address in changed}


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


def test_each_change_of_the_api_makes_a_new_deployment_and_a_change_of_anything_else_keeps_it(
    local: Emulation, tmp_path: Path
) -> None:
    folder = shutil.copytree(local.folder.parent, tmp_path / "changed") / "terraform"
    for edit in OTHER_CHANGES:
        edit.make(folder)
    (folder / "modules/app/deployment.zip").write_bytes(b"other code")
    for name, edit in API_CHANGES.items():
        edit.make(copy_module(folder, name))
    run(folder, local.environment, "get")
    targets = [f"-target=module.{name}" for name in ("app", *API_CHANGES)]
    planned = plan(local, "-refresh=false", *targets, folder=folder)
    changed = changes(planned)

    copies = len(targets)
    for text in (
        r'\+ "owner" += "operations"',
        r"~ source_code_hash +=",
        r"~ memory_size += 256 -> 512",
    ):
        assert len(re.findall(text, planned)) >= copies
    for name in ("app", *API_CHANGES):
        assert changed[f"module.{name}.aws_lambda_function.websocket_message"] == "~"
    # Only then is the old deployment removed.
    assert {address: sign for address, sign in changed.items() if DEPLOYMENT in address} == {
        f"module.{name}.{DEPLOYMENT}": "+/-" for name in API_CHANGES
    }


def copy_module(folder: Path, name: str) -> Path:
    """Add a copy of the application's module, with its state, to a stack; return its folder.

    One plan shows the changes of all modules, and loads the provider's schema once.
    """
    main = (folder / "main.tf").read_text()
    (block,) = re.findall(r"^module \"app\" \{\n.*?^\}\n", main, re.MULTILINE | re.DOTALL)
    copied = block.replace('"app"', f'"{name}"').replace("./modules/app", f"./modules/{name}")
    (folder / f"{name}.tf").write_text(copied)
    file = folder / "terraform.tfstate.d/local/terraform.tfstate"
    state = json.loads(file.read_text())
    resources = [it for it in state["resources"] if it.get("module") == "module.app"]
    renamed = json.dumps(resources).replace("module.app", f"module.{name}")
    state["resources"] += json.loads(renamed)
    file.write_text(json.dumps(state))
    return shutil.copytree(folder / "modules/app", folder / "modules" / name)


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

    planned = plan(local, '-var=settings={LOG_LEVEL = "ERROR"}', "-refresh=false")
    assert types(changes(planned)) - NOT_READ_BACK == {"aws_lambda_function"}
    for shown in (planned, run(local.folder, local.environment, "show")):
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


def test_destroy_leaves_the_other_stage_serving_and_its_plan_empty(
    destroyed: Emulation, local: Emulation
) -> None:
    assert meets(local)
    assert types(changes(plan(local))) <= NOT_READ_BACK
