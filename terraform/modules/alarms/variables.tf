variable "name_prefix" {
  description = "What the name of every alarm, of the topic and of the dashboard begins with."
  type        = string
}

variable "region" {
  description = "The AWS region whose metrics the dashboard shows."
  type        = string
}

variable "level" {
  description = "The alarms to make: none, which also leaves out the dashboard; essential; or all."
  type        = string
}

variable "emails" {
  description = "Who is told; each has to confirm by a link that AWS sends."
  type        = set(string)
}

variable "api_id" {
  description = "The WebSocket API's id."
  type        = string
}

variable "stage" {
  description = "The stage: the WebSocket API's, and the one whose metrics the application writes."
  type        = string
}

variable "max_active_sessions" {
  description = "For how many sessions at once the stage is laid out."
  type        = number
}

variable "saved_queries" {
  description = "Whether queries of the logs are saved."
  type        = bool
}

variable "tables" {
  description = "The name of each table, by its name in the schema."
  type        = map(string)
}

variable "functions" {
  description = "The deployed name of each function, the time it has, in seconds, and its log group, by its name in app.py."
  type = map(object({
    name            = string
    timeout_seconds = number
    log_group       = string
  }))
}
