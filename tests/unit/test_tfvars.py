"""Checks of a stage's variables file before Terraform reads it."""

from pathlib import Path

import pytest

from operations import tfvars

ROOT = Path(__file__).parents[2] / "terraform"

TRICKY = r"""
# comment = "no"
// slashes = "no"
/* block = "no"
   more  = "no" */
plain       = "a # no comment, and \"quoted\" = {"
  indented  = 1
map         = { nested = { deeper = 1 } }
list        = [
  { inner = "x" },
]
called      = merge({ argument = 1 }, {})
heredoc     = <<-EOT
  line = "no"
  EOT
compared    = 1 == 2
"""


def test_a_misspelled_variable_is_named_with_the_likely_one(tmp_path: Path) -> None:
    (tmp_path / "variables.tf").write_text('variable "alarm_emails" {}\nvariable "mfa" {\n}\n')
    unknown = tfvars.find_unknown('mfa = "ON"\nalarm_mails = []\n', tmp_path)
    assert unknown == "alarm_mails, which the stack doesn't declare; did you mean alarm_emails?"


def test_an_unknown_variable_is_named(tmp_path: Path) -> None:
    unknown = tfvars.find_unknown("zzz = 1", tmp_path)
    assert unknown == "zzz, which the stack doesn't declare"


def test_only_top_level_assignments_are_variables() -> None:
    assert tfvars.assigned_names(TRICKY) == [
        *("plain", "indented", "map", "list", "called", "heredoc", "compared")
    ]


@pytest.mark.parametrize(
    "file", sorted((ROOT / "environments").glob("*.tfvars")), ids=lambda it: it.stem
)
def test_the_stages_files_set_only_declared_variables(file: Path) -> None:
    text = file.read_text()
    assert "stage" in tfvars.assigned_names(text)
    assert tfvars.find_unknown(text, ROOT) is None


@pytest.mark.parametrize(
    ("text", "region"),
    [
        ('region = "eu-central-1"', "eu-central-1"),
        ('# region = "eu-west-1"', None),
        ('other_region = "eu-west-1"', None),
    ],
)
def test_a_string_is_found_if_the_file_sets_it(text: str, region: str | None) -> None:
    assert tfvars.find_string(text, "region") == region
