variable "name_prefix" {
  description = "The prefix for the tables' names."
  type        = string
}

variable "schema_file" {
  description = "The JSON file with the tables' schema. The application's tests read the same file."
  type        = string
}

variable "point_in_time_recovery" {
  description = "Whether the tables except captions and rate_limits can be restored to any second of the last 35 days."
  type        = bool
}

variable "deletion_protection" {
  description = "Whether to protect the tables from deletion, by Terraform or other means."
  type        = bool
}

variable "managed_key" {
  description = "Whether to encrypt the tables with the account's key aws/dynamodb instead of a key that AWS owns."
  type        = bool
}
