variable "stage" {
  description = "The stage that the package was built for, which is also the API's stage."
  type        = string
}

variable "tables" {
  description = "The name and ARN of each table, keyed by its name in the schema."
  type        = map(object({ name = string, arn = string }))
}

variable "user_pool_id" {
  description = "The ID of the user pool whose tokens are accepted."
  type        = string
}

variable "client_id" {
  description = "The ID of the app client whose tokens are accepted."
  type        = string
}

variable "settings" {
  description = "The application's settings, keyed by their names in docs/reference/configuration.md."
  type        = map(string)
}

variable "pipeline_function" {
  description = "The function that receives the events of the pipeline, by name or ARN. null is the function interpreter, which exists only then. An empty string is none."
  type        = string
}

variable "media" {
  description = "The name, ARN and URL of the bucket for the audio of captions. null if the captions have none."
  type        = object({ bucket = string, arn = string, url = string })
}

variable "functions" {
  description = "The memory, timeout and reserved concurrency of each function. A reserved concurrency of -1 reserves none."
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
  description = "The retention of logs, in days."
  type        = number
}

variable "throttling" {
  description = "The API's limit for connects and messages: requests per second on average (rate), and in a burst."
  type        = object({ rate = number, burst = number })
}

variable "access_logs" {
  description = "Whether to log each connect and message. The account needs a CloudWatch role for API Gateway."
  type        = bool
}

variable "domain" {
  description = "A custom domain and the ARN of its certificate in the same region. null uses the domain of API Gateway."
  type        = object({ name = string, certificate_arn = string })
}
