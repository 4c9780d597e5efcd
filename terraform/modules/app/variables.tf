variable "stage" {
  description = "The stage that the package was made for; also the API's stage."
  type        = string
}

variable "tables" {
  description = "Name and ARN of each table, by its name in the schema."
  type        = map(object({ name = string, arn = string }))
}

variable "user_pool_id" {
  description = "The user pool whose tokens are taken."
  type        = string
}

variable "client_id" {
  description = "The app client whose tokens are taken."
  type        = string
}

variable "settings" {
  description = "The application's settings, by the names that docs/reference/configuration.md lists."
  type        = map(string)
}

variable "functions" {
  description = "What each function runs with; a reserved concurrency of -1 reserves none."
  type = map(object({
    memory_mb            = number
    timeout_seconds      = number
    reserved_concurrency = number
  }))
}

variable "tracing" {
  description = "Whether X-Ray traces the functions."
  type        = bool
}

variable "log_retention_days" {
  description = "How long the functions' logs are kept, in days."
  type        = number
}

variable "throttling" {
  description = "What the API takes, in requests a second, over time and at once."
  type        = object({ rate = number, burst = number })
}

variable "access_logs" {
  description = "Whether each connect and message is logged; the account's CloudWatch role must be set."
  type        = bool
}

variable "domain" {
  description = "A domain of one's own for the API, with its certificate in the same region; null uses AWS's."
  type        = object({ name = string, certificate_arn = string })
}
