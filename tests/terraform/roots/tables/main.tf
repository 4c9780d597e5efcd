# The tables twice: of a stage to try things in, and of one whose data is protected.

module "plain" {
  source = "../../../../terraform/modules/dynamodb"

  name_prefix            = "plain"
  schema_file            = "${path.module}/../../../../chalicelib/tables.json"
  point_in_time_recovery = false
  deletion_protection    = false
  managed_key            = false
}

module "protected" {
  source = "../../../../terraform/modules/dynamodb"

  name_prefix            = "protected"
  schema_file            = "${path.module}/../../../../chalicelib/tables.json"
  point_in_time_recovery = true
  deletion_protection    = true
  managed_key            = true
}

output "plain" {
  value = module.plain.tables
}

output "protected" {
  value = module.protected.tables
}
