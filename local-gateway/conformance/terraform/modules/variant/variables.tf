variable "name" {
  description = "The API's name."
  type        = string
}

variable "stage" {
  description = "The name of the API's stage."
  type        = string
}

variable "throttling" {
  description = "The API's limits: requests per second, and the burst."
  type        = object({ rate = number, burst = number })
}

variable "routes" {
  description = "The functions by route key."
  type        = map(object({ function_name = string, invoke_arn = string }))
}

variable "is_permitted" {
  description = "Whether the API may invoke the functions."
  type        = bool
}

variable "has_route_response" {
  description = "Whether clients receive the replies to their messages."
  type        = bool
}

variable "authorizer" {
  description = "The authorizer's function."
  type        = object({ function_name = string, invoke_arn = string })
}

variable "identity_sources" {
  description = "The identity sources of the authorizer of $connect; null for no authorizer."
  type        = list(string)
}
