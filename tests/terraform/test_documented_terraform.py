"""The Terraform that docs/deployment.md asks readers to add is valid beside the stack's own."""

import re

from scripts.planning import ROOT, Configuration


def test_the_recipe_for_cloudfront_is_formatted_and_valid(configuration: Configuration) -> None:
    text = (ROOT / "docs" / "deployment.md").read_text()
    blocks = re.findall(r"^```hcl\n# terraform/(\S+)\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    files = {configuration.folder / path: content for path, content in blocks}
    assert len(files) == 2
    for file, content in files.items():
        file.write_text(content)
    try:
        configuration.passes("fmt", "-check", "-diff", *map(str, files))
        configuration.passes("validate")
    finally:
        for file in files:
            file.unlink()
