variable "name_prefix" {
  description = "What every table's name begins with."
  type        = string
}

variable "schema_file" {
  description = "The JSON file with the tables' schema, which the application's tests read too."
  type        = string
}

variable "point_in_time_recovery" {
  description = "Whether the tables except rate_limits can be restored to any second of the last 35 days."
  type        = bool
}

variable "deletion_protection" {
  description = "Whether the tables are protected from deletion, by Terraform or anybody."
  type        = bool
}

variable "managed_key" {
  description = "Whether the tables are encrypted with the account's key aws/dynamodb instead of a key that AWS owns."
  type        = bool
}
