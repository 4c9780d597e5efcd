# A stage name that is no name is refused, even in a workspace that is called so too:
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
