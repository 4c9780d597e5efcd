# A stage's own file plans, in the workspace of that name and with a package that was made for it:
#
#   TF_WORKSPACE=dev terraform test -var-file=environments/dev.tfvars -filter=tests/plans.tftest.hcl
#
# tests/terraform/test_plans.py looks at what is planned for each stage, resource by resource.

mock_provider "aws" {
  source          = "./tests/aws"
  override_during = plan
}

run "plans" {
  command = plan

  assert {
    condition     = alltrue([for name in values(output.table_names) : startswith(name, "broadcast-sessions-${var.stage}-")])
    error_message = "A table's name is without the stage."
  }
}
