# An invalid stage name is refused, even if the workspace has the same name:
#
#   TF_WORKSPACE=Dev terraform test -var=stage=Dev -filter=tests/stage_names.tftest.hcl

mock_provider "aws" {
  source          = "./tests/aws"
  override_during = plan
}

run "refused" {
  command = plan

  expect_failures = [var.stage]
}
