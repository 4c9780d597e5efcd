# A stage's tfvars file can be planned in the stage's workspace, with a package for the stage:
#
#   TF_WORKSPACE=dev terraform test -var-file=environments/dev.tfvars -filter=tests/plans.tftest.hcl
#
# tests/terraform/test_plans.py checks the planned resources of each stage.

mock_provider "aws" {
  source          = "./tests/aws"
  override_during = plan
}

run "plans" {
  command = plan

  assert {
    condition     = alltrue([for name in values(output.table_names) : startswith(name, "broadcast-sessions-${var.stage}-")])
    error_message = "A table's name doesn't contain the stage."
  }
}
