"""The Terraform in docs/how-to/customize-a-stage.md is valid together with the stack."""

import re
from pathlib import Path

from tests.terraform.configuration import ROOT, Configuration

PAGE = (ROOT / "docs" / "how-to" / "customize-a-stage.md").read_text()


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
