"""The Terraform and the policies in the how-to guides fit the stack."""

import json
import re
from pathlib import Path

from tests.terraform.configuration import ROOT, Configuration
from tests.terraform.conftest import Plan

PAGE = (ROOT / "docs" / "how-to" / "customize-a-stage.md").read_text()
PUBLISHING = (ROOT / "docs" / "how-to" / "publish-captions.md").read_text()


def test_the_recipe_for_cloudfront_is_formatted_and_valid(configuration: Configuration) -> None:
    block = re.compile(r"^```hcl\n# terraform/(\S+)\n(.*?)^```", re.DOTALL | re.MULTILINE)
    blocks = block.findall(PAGE)
    files = {configuration.folder / path: content for path, content in blocks}
    assert len(files) == 2
    for file, content in files.items():
        file.write_text(content)
    try:
        configuration.run("fmt", "-check", "-diff", *map(str, files))
        configuration.run("validate")
    finally:
        for file in files:
            file.unlink()


def test_the_example_of_a_sign_in_page_is_planned(
    configuration: Configuration, tmp_path: Path
) -> None:
    block = re.compile(r"^```\n(sign_in_page = .*?)^```", re.DOTALL | re.MULTILINE)
    [example] = block.findall(PAGE)
    file = tmp_path / "example.tfvars"
    file.write_text(example)
    planned = configuration.plan("dev", f"-var-file={file}")
    [domain] = planned["aws_cognito_user_pool_domain"]
    [client] = planned["aws_cognito_user_pool_client"]
    assert f'"{domain["domain"]}"' in example
    assert client["allowed_oauth_flows_user_pool_client"] is True
    for url in client["callback_urls"] + client["logout_urls"]:
        assert f'"{url}"' in example


def test_the_policies_for_another_account_allow_it_the_function_that_publishes(whole: Plan) -> None:
    blocks = re.findall(r"^ *```json\n(.*?)^ *```", PUBLISHING, re.DOTALL | re.MULTILINE)
    policies = [it for it in map(json.loads, blocks) if "Statement" in it]
    assert [("Principal" in policy["Statement"][0]) for policy in policies] == [False, True]
    functions = {it["function_name"] for it in whole.resources["aws_lambda_function"]}
    for policy in policies:
        (statement,) = policy["Statement"]
        assert statement["Action"] == "lambda:InvokeFunction"
        function = statement["Resource"].rpartition(":function:")[2]
        assert function in functions
        assert function.endswith("-publish")
