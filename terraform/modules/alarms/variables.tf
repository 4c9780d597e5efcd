variable "name_prefix" {
  description = "The prefix for the names of the alarms, the topic and the dashboard."
  type        = string
}

variable "region" {
  description = "The AWS region whose metrics the dashboard shows."
  type        = string
}

variable "level" {
  description = "The alarms to create: none (no dashboard either), essential or all."
  type        = string
}

variable "emails" {
  description = "The email addresses that receive alarms. AWS sends each a link to confirm the subscription."
  type        = set(string)
}

variable "api_id" {
  description = "The WebSocket API's ID."
  type        = string
}

variable "stage" {
  description = "The stage of the WebSocket API, which is also a dimension of the application's metrics."
  type        = string
}

variable "max_active_sessions" {
  description = "The number of concurrent sessions that the stage is designed for."
  type        = number
}

variable "saved_queries" {
  description = "Whether to save log queries in CloudWatch Logs Insights."
  type        = bool
}

variable "tables" {
  description = "The table names, keyed by their names in the schema."
  type        = map(string)
}

variable "functions" {
  description = "The deployed name, timeout and log group of each function, keyed by its name in app.py."
  type = map(object({
    name            = string
    timeout_seconds = number
    log_group       = string
  }))
}
