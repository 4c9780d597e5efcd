variable "run" {
  description = "The run's unique name: the Chalice stage, and a part of every resource's name."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9]{1,12}$", var.run))
    error_message = "The name must have 1 to 12 lowercase letters or digits, to fit in names of roles."
  }
}

variable "stage" {
  description = "The name of each API's stage."
  type        = string
  default     = "api"

  validation {
    condition     = can(regex("^[A-Za-z0-9_-]+$", var.stage))
    error_message = "API Gateway allows letters, digits, - and _ in a stage's name."
  }
}

variable "management_url" {
  description = "The URL of an emulator's @connections API, with {apiId} and {stage}; empty on AWS."
  type        = string
  default     = ""

  validation {
    condition     = var.management_url == "" || startswith(var.management_url, "http")
    error_message = "The URL must start with http, because boto3 needs the scheme."
  }
}

variable "throttling" {
  description = "Each API's limits: requests per second, and the burst."
  type        = object({ rate = number, burst = number })
  default     = { rate = 500, burst = 500 }

  validation {
    condition     = var.throttling.rate > 0 && var.throttling.burst > 0
    error_message = "Both limits must be above 0. API Gateway would refuse every connect otherwise."
  }
}
