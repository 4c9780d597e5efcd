"""The modules for the tables and the user pool, each applied by itself to an emulator."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pytest_terraform import terraform
from pytest_terraform.tf import LazyModuleDir, TerraformTestApi

from devserver import aws
from scripts import terraform_cli
from scripts.emulate import ROOT, copy_stack, emulator_environment
from scripts.emulate import terraform as run_terraform
from tests.terraform.requirements import require_provider

ROOTS = Path(__file__).parent / "roots"
TABLES = json.loads((ROOT / "chalicelib" / "tables.json").read_text())


@pytest.fixture(scope="module", autouse=True)
def endpoint_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Have pytest-terraform apply to an emulator, and a copy, for it writes beside what it applies.

    The first init is to find out whether there is a provider; the plugin's own can only fail.
    """
    scratch = tmp_path_factory.mktemp("modules")
    copy_stack(scratch)
    roots = shutil.copytree(ROOTS, scratch / ROOTS.relative_to(ROOT))
    for root in roots.iterdir():
        shutil.copy(scratch / "terraform" / ".terraform.lock.hcl", root)
    init = terraform_cli.init_arguments()
    with aws.ministack() as endpoint_url, pytest.MonkeyPatch.context() as patch:
        environment = emulator_environment(endpoint_url)
        with require_provider():
            run_terraform(roots / "tables", environment, "init", "-input=false", *init)
        patch.setattr(LazyModuleDir, "value", str(roots))
        patch.setenv("TF_CLI_ARGS_init", " ".join(init))
        for name, value in environment.items():
            patch.setenv(name, value)
        yield endpoint_url


# Nothing is torn down: the account goes when the emulator does, and what is protected could not be.
@terraform("tables", teardown=terraform.TEARDOWN_OFF)
def test_tables_are_made_as_the_schema_says_and_kept_safe_where_that_is_asked(
    tables: TerraformTestApi, endpoint_url: str
) -> None:
    dynamodb = aws.client("dynamodb", endpoint_url)
    for prefix, protected in (("plain", False), ("protected", True)):
        made = tables.outputs[prefix]["value"]
        assert set(made) == set(TABLES)
        for name, schema in TABLES.items():
            table_name = made[name]["name"]
            assert table_name == f"{prefix}-{name}"
            table = dynamodb.describe_table(TableName=table_name)["Table"]
            assert table["TableArn"] == made[name]["arn"]
            assert keys_of(table) == keys_of(aws.table_request(table_name, schema))
            assert table["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"
            assert table["DeletionProtectionEnabled"] is protected
            ttl = dynamodb.describe_time_to_live(TableName=table_name)["TimeToLiveDescription"]
            assert ttl == {"TimeToLiveStatus": "ENABLED", "AttributeName": schema["ttl_attribute"]}
            backups = dynamodb.describe_continuous_backups(TableName=table_name)
            recovery = backups["ContinuousBackupsDescription"]["PointInTimeRecoveryDescription"]
            assert (recovery["PointInTimeRecoveryStatus"] == "ENABLED") is (
                protected and name != "rate_limits"
            )


def keys_of(table: Any) -> Any:
    """Return what a table, or a request for one, says of keys and indexes."""
    indexes = [
        {name: index[name] for name in ("IndexName", "KeySchema", "Projection")}
        for index in table.get("GlobalSecondaryIndexes", [])
    ]
    attributes = {it["AttributeName"]: it["AttributeType"] for it in table["AttributeDefinitions"]}
    return table["KeySchema"], attributes, indexes


@terraform("user_pool", teardown=terraform.TEARDOWN_OFF)
def test_a_pool_takes_no_strangers_gives_tokens_as_long_as_asked_and_an_existing_one_is_kept(
    user_pool: TerraformTestApi, endpoint_url: str
) -> None:
    cognito = aws.client("cognito-idp", endpoint_url)
    made = user_pool.outputs["made"]["value"]
    pool = cognito.describe_user_pool(UserPoolId=made["user_pool_id"])["UserPool"]
    assert pool["AdminCreateUserConfig"]["AllowAdminCreateUserOnly"] is True
    assert pool["Policies"]["PasswordPolicy"]["MinimumLength"] == 14
    assert pool["MfaConfiguration"] == "OPTIONAL"
    assert pool["DeletionProtection"] == "ACTIVE"

    app_client = cognito.describe_user_pool_client(
        UserPoolId=made["user_pool_id"], ClientId=made["client_id"]
    )["UserPoolClient"]
    assert app_client["IdTokenValidity"] == app_client["AccessTokenValidity"] == 15
    assert app_client["RefreshTokenValidity"] == 7
    assert app_client["TokenValidityUnits"] == {
        "IdToken": "minutes",
        "AccessToken": "minutes",
        "RefreshToken": "days",
    }
    assert "ClientSecret" not in app_client

    assert user_pool.outputs["existing"]["value"] == {
        "user_pool_id": "us-east-1_AbCdEfGhI",
        "client_id": "its-client",
    }
    pools = cognito.list_user_pools(MaxResults=60)["UserPools"]
    assert [it["Name"] for it in pools] == ["made"]
