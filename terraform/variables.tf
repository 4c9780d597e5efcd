variable "stage" {
  description = "The name of the stage. The workspace has the same name, and all resource names contain it."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,15}$", var.stage))
    error_message = "stage must be 1 to 16 lowercase letters, digits and hyphens, and start with a letter, because it is part of every resource name."
  }

  validation {
    condition     = var.stage != "default"
    error_message = "stage can't be default, because Terraform uses the workspace default when none is selected."
  }

  validation {
    condition     = var.stage == terraform.workspace
    error_message = "The stage is ${var.stage}, but the workspace is ${terraform.workspace}. Select the workspace with the name of the stage."
  }
}

variable "region" {
  description = "The AWS region."
  type        = string
  default     = "us-east-1"

  validation {
    condition     = can(regex("^[a-z]{2,}(-[a-z]+)+-[0-9]+$", var.region))
    error_message = "region must be the name of an AWS region, such as eu-central-1."
  }

  validation {
    condition     = can(regex(local.supported_regions, var.region)) || !can(regex("^[a-z]{2,}(-[a-z]+)+-[0-9]+$", var.region))
    error_message = "region must be in one of the partitions aws and aws-us-gov. The stack uses URLs in the domain amazonaws.com, and the endpoints in ${var.region} are in another domain."
  }
}

locals {
  # Matches the regions of the two partitions whose endpoints are in amazonaws.com.
  # Source: regionRegex in botocore's partitions.json.
  supported_regions = "^((us|eu|ap|sa|ca|me|af|il|mx)|us-gov)-[a-z]+-[0-9]+$"
}

locals {
  functions = ["authorizer", "connect", "message", "disconnect", "outcome", "publish", "interpreter", "sweep"]

  whole_settings = {
    HEARTBEAT_INTERVAL_SECONDS             = "seconds between heartbeats of speakers, and of listeners in their first five minutes"
    HEARTBEAT_SETTLED_SECONDS              = "seconds between heartbeats of listeners after their first five minutes"
    HEARTBEAT_TIMEOUT_SECONDS              = "seconds without a heartbeat before a participant can be lost"
    MAX_LISTENERS_PER_SESSION              = "maximum number of listeners in a session"
    MAX_REFUSED_COMMANDS                   = "refused commands in a row before the service closes the connection"
    RATE_LIMIT_CAPTIONS_PER_MIN            = "captions that a speaker can send"
    RATE_LIMIT_CONNECTIONS_PER_MIN         = "connections per address"
    RATE_LIMIT_CONNECTION_ATTEMPTS_PER_MIN = "refused attempts per address, after which the address needs a token or an invite code"
    RATE_LIMIT_HEARTBEATS_PER_MIN          = "heartbeats per connection, with a burst of twice as many"
    RATE_LIMIT_INVITED_JOINS_PER_MIN       = "joins per session with its invite code"
    RATE_LIMIT_LISTENER_JOINS_PER_MIN      = "joins per address without an invite code"
    RATE_LIMIT_SESSIONS_PER_HOUR           = "sessions that a user can create"
  }

  fractional_settings = {
    CONNECTION_REFRESH_MINUTES  = "age of a connection at which the service requests a refresh"
    CONNECTION_WARNING_MINUTES  = "age of a connection at which the service also sends a warning with the remaining time"
    SESSION_MAX_DURATION_HOURS  = "lifetime of a session without a heartbeat of its speaker"
    SPEAKER_CLOSE_GRACE_SECONDS = "how long a session waits after its speaker closed the connection"
    SPEAKER_GRACE_SECONDS       = "how long a session waits after its speaker's connection was lost"
  }

  settings = merge(local.whole_settings, local.fractional_settings, {
    CAPTIONS_KEPT_SECONDS = "how long captions can be fetched, or 0 to store none"
    LOG_LEVEL             = "lowest level of log lines: DEBUG, INFO, WARNING or ERROR"
  })
}

variable "settings" {
  description = "The application's settings, keyed by the names in local.settings. Omitted settings have the application's defaults."
  type        = map(string)
  default     = {}

  validation {
    condition     = length(setsubtract(keys(var.settings), keys(local.settings))) == 0
    error_message = "settings contains an unknown name. The settings are ${join("; ", [for name, meaning in local.settings : "${name}, ${meaning}"])}."
  }

  validation {
    condition     = alltrue([for name, value in var.settings : contains(["CAPTIONS_KEPT_SECONDS", "LOG_LEVEL"], name) || try(tonumber(value) > 0 && tonumber(value) <= 1000000000, false)])
    error_message = "Every setting except CAPTIONS_KEPT_SECONDS and LOG_LEVEL must be a number greater than 0 and at most 1,000,000,000. The application doesn't start with other values."
  }

  validation {
    condition     = try(var.settings["CAPTIONS_KEPT_SECONDS"] >= 0 && var.settings["CAPTIONS_KEPT_SECONDS"] <= 1000000000 && floor(var.settings["CAPTIONS_KEPT_SECONDS"]) == tonumber(var.settings["CAPTIONS_KEPT_SECONDS"]), !contains(keys(var.settings), "CAPTIONS_KEPT_SECONDS"))
    error_message = "CAPTIONS_KEPT_SECONDS must be a whole number from 0 to 1,000,000,000. With 0, no captions are stored."
  }

  validation {
    condition     = try(tonumber(var.settings["MAX_LISTENERS_PER_SESSION"]) <= 10000, true)
    error_message = "MAX_LISTENERS_PER_SESSION must be at most 10,000. The application doesn't start with a larger value."
  }

  validation {
    condition = alltrue([
      for name in keys(local.whole_settings) :
      try(floor(tonumber(var.settings[name])) == tonumber(var.settings[name]), true)
    ])
    error_message = "${join(", ", keys(local.whole_settings))} must be whole numbers. The application doesn't start with other values."
  }

  validation {
    condition     = contains(["DEBUG", "INFO", "WARNING", "ERROR"], lookup(var.settings, "LOG_LEVEL", "INFO"))
    error_message = "LOG_LEVEL must be DEBUG, INFO, WARNING or ERROR."
  }

  # The application checks the same combinations (chalicelib/settings.py), but only when a function
  # starts. A validation above reports values that aren't numbers.
  validation {
    condition     = try(tonumber(lookup(var.settings, "SESSION_MAX_DURATION_HOURS", 2)) * 3600 >= 1, true)
    error_message = "SESSION_MAX_DURATION_HOURS must be at least 1 second (1/3600)."
  }

  validation {
    condition     = try(tonumber(lookup(var.settings, "CONNECTION_REFRESH_MINUTES", 100)) < tonumber(lookup(var.settings, "CONNECTION_WARNING_MINUTES", 105)), true)
    error_message = "CONNECTION_REFRESH_MINUTES (100 by default) must be less than CONNECTION_WARNING_MINUTES (105 by default)."
  }

  validation {
    condition     = try(tonumber(lookup(var.settings, "CONNECTION_WARNING_MINUTES", 105)) < 120, true)
    error_message = "CONNECTION_WARNING_MINUTES must be less than 120, the lifetime of a connection."
  }

  validation {
    condition     = alltrue([for name in ["HEARTBEAT_INTERVAL_SECONDS", "HEARTBEAT_SETTLED_SECONDS"] : try(tonumber(var.settings[name]) < 600, true)])
    error_message = "HEARTBEAT_INTERVAL_SECONDS and HEARTBEAT_SETTLED_SECONDS must be less than 600, because API Gateway closes a connection that is idle for 10 minutes."
  }

  validation {
    condition     = try(tonumber(lookup(var.settings, "HEARTBEAT_SETTLED_SECONDS", 90)) >= tonumber(lookup(var.settings, "HEARTBEAT_INTERVAL_SECONDS", 30)), true)
    error_message = "HEARTBEAT_SETTLED_SECONDS (90 by default) must be at least HEARTBEAT_INTERVAL_SECONDS (30 by default)."
  }

  validation {
    condition     = try(tonumber(lookup(var.settings, "HEARTBEAT_TIMEOUT_SECONDS", 90)) >= 3 * tonumber(lookup(var.settings, "HEARTBEAT_INTERVAL_SECONDS", 30)), true)
    error_message = "HEARTBEAT_TIMEOUT_SECONDS (90 by default) must be at least 3 times HEARTBEAT_INTERVAL_SECONDS (30 by default)."
  }

  validation {
    condition     = try(tonumber(lookup(var.settings, "HEARTBEAT_INTERVAL_SECONDS", 30)) * tonumber(lookup(var.settings, "RATE_LIMIT_HEARTBEATS_PER_MIN", 2)) >= 60, true)
    error_message = "HEARTBEAT_INTERVAL_SECONDS (30 by default) times RATE_LIMIT_HEARTBEATS_PER_MIN (2 by default) must be at least 60. Otherwise the heartbeats that the service requests exceed the limit."
  }

  # If it isn't set, SPEAKER_CLOSE_GRACE_SECONDS defaults to at most SPEAKER_GRACE_SECONDS.
  validation {
    condition     = try(tonumber(var.settings["SPEAKER_CLOSE_GRACE_SECONDS"]) <= tonumber(lookup(var.settings, "SPEAKER_GRACE_SECONDS", 60)), true)
    error_message = "SPEAKER_CLOSE_GRACE_SECONDS must be at most SPEAKER_GRACE_SECONDS (60 by default)."
  }
}

variable "memory_mb" {
  description = "Memory in MB, keyed by the functions' names in app.py. The default is 512 for interpreter and sweep, and 256 for the others. CPU is proportional to memory: 1,769 MB correspond to one CPU."
  type        = map(number)
  default     = {}

  validation {
    condition     = length(setsubtract(keys(var.memory_mb), local.functions)) == 0
    error_message = "memory_mb contains an unknown function. The functions are ${join(", ", local.functions)}."
  }

  validation {
    condition     = alltrue([for memory in var.memory_mb : memory >= 128 && memory <= 10240 && floor(memory) == memory])
    error_message = "memory_mb must be whole numbers from 128 to 10240, the range that Lambda supports."
  }
}

variable "timeout_seconds" {
  description = "Timeouts in seconds, keyed by the functions' names in app.py. The default is 60 for interpreter, 150 for sweep, and 29 for the others."
  type        = map(number)
  default     = {}

  validation {
    condition     = length(setsubtract(keys(var.timeout_seconds), local.functions)) == 0
    error_message = "timeout_seconds contains an unknown function. The functions are ${join(", ", local.functions)}."
  }

  validation {
    condition     = alltrue([for name, timeout in var.timeout_seconds : contains(["interpreter", "sweep"], name) || (timeout >= 1 && timeout <= 29 && floor(timeout) == timeout)])
    error_message = "timeout_seconds must be whole numbers from 1 to 29, except for interpreter and sweep. API Gateway waits 29 s for a function and discards later results."
  }

  validation {
    condition     = alltrue([for name in ["connect", "message", "disconnect", "outcome", "publish"] : lookup(var.timeout_seconds, name, 29) >= 25])
    error_message = "The timeouts of connect, message, disconnect, outcome and publish must be at least 25. The functions plan for 20 s per event, including up to 10 s of grace period, and the last request can take 5 s more. With a shorter timeout, Lambda stops them before they finish."
  }

  validation {
    condition     = try(var.timeout_seconds["interpreter"] >= 30 && var.timeout_seconds["interpreter"] <= 60 && floor(var.timeout_seconds["interpreter"]) == var.timeout_seconds["interpreter"], !contains(keys(var.timeout_seconds), "interpreter"))
    error_message = "The timeout of interpreter must be a whole number from 30 to 60. The time limits of its requests add up to about 25 s, and a caption that is a minute late is of no use."
  }

  validation {
    condition     = try(var.timeout_seconds["sweep"] >= 150 && var.timeout_seconds["sweep"] <= 900 && floor(var.timeout_seconds["sweep"]) == var.timeout_seconds["sweep"], !contains(keys(var.timeout_seconds), "sweep"))
    error_message = "The timeout of sweep must be a whole number from 150 to 900. The sweep starts no work after 110 s, and the work that it has started can take 30 s more. Lambda's maximum is 900 s."
  }
}

variable "reserved_concurrency" {
  description = "Reserved concurrency, keyed by the functions' names in app.py. It limits a function and counts towards the account's limit. Omitted functions have no reserved concurrency."
  type        = map(number)
  default     = {}

  validation {
    condition     = length(setsubtract(keys(var.reserved_concurrency), local.functions)) == 0
    error_message = "reserved_concurrency contains an unknown function. The functions are ${join(", ", local.functions)}."
  }

  validation {
    condition     = alltrue([for count in var.reserved_concurrency : count >= 1 && floor(count) == count])
    error_message = "reserved_concurrency must be whole numbers of at least 1. With 0, a function never runs."
  }
}

variable "pipeline_function" {
  description = "The Lambda function that receives the events of the pipeline, by name or ARN. null is the stack's own function interpreter. With another function, or an empty string for none, the stack has no interpreter."
  type        = string
  default     = null

  # Source: CreateFunction, AWS Lambda API Reference (FunctionName), and "Manage Lambda function
  # versions" (qualifiers).
  validation {
    condition     = can(regex("^((arn:(aws|aws-us-gov):lambda:[a-z0-9-]+:[0-9]{12}:function:)?[A-Za-z0-9_-]{1,64}(:[A-Za-z0-9_-]{1,128})?)?$", coalesce(var.pipeline_function, "interpreter")))
    error_message = "pipeline_function must be the name or the ARN of a Lambda function, with an alias or version at most, or an empty string for none."
  }

  validation {
    condition     = !can(regex("^arn:", var.pipeline_function)) || can(regex("^arn:${startswith(var.region, "us-gov-") ? "aws-us-gov" : "aws"}:lambda:${var.region}:", var.pipeline_function))
    error_message = "pipeline_function must be in the stack's region, ${var.region}, because the functions invoke it there."
  }
}

variable "speech" {
  description = "Whether the interpreter also has Amazon Polly speak the translations: on or off. With on, the stack has a bucket and a CloudFront distribution for the audio."
  type        = string
  default     = "off"

  validation {
    condition     = contains(["off", "on"], var.speech)
    error_message = "speech must be on or off."
  }

  validation {
    condition     = var.speech != "on" || var.pipeline_function == null
    error_message = "speech = on needs the stack's own interpreter, so pipeline_function must not be set. Another pipeline publishes its captions with its own audio."
  }

  validation {
    condition     = var.speech != "on" || !startswith(var.region, "us-gov-")
    error_message = "speech = on needs CloudFront, which the partition aws-us-gov doesn't have."
  }

  validation {
    condition     = var.speech != "on" || try(tonumber(lookup(var.settings, "CAPTIONS_KEPT_SECONDS", 600)) != 0, true)
    error_message = "speech can't be on if CAPTIONS_KEPT_SECONDS is 0, because the bucket stores the audio for up to two days."
  }
}

variable "media_origins" {
  description = "The origins of the pages whose scripts can read the audio, or * for any. Without speech, it has no effect."
  type        = set(string)
  default     = ["*"]

  validation {
    condition = length(var.media_origins) > 0 && (var.media_origins == toset(["*"]) || alltrue([
      for origin in var.media_origins : can(regex("^https?://[a-z0-9.-]+(:[0-9]+)?$", origin))
    ]))
    error_message = "media_origins must be origins such as https://live.example.com, without a path, or only *."
  }
}

variable "python_version" {
  description = "The Python version that the functions are packaged with and run on. make refuses to deploy a package of another version. null accepts every supported version."
  type        = string
  default     = null

  validation {
    condition     = contains(["3.11", "3.12", "3.13"], coalesce(var.python_version, "3.13"))
    error_message = "python_version must be 3.11, 3.12 or 3.13, the versions that make package supports."
  }
}

variable "tracing" {
  description = "Whether X-Ray traces the functions."
  type        = bool
  default     = false
}

variable "log_retention_days" {
  description = "The retention of logs, in days."
  type        = number
  default     = 1

  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653], var.log_retention_days)
    error_message = "log_retention_days must be a retention that CloudWatch supports: 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288 or 3653."
  }
}

variable "throttling" {
  description = "The API's limit for connects and messages: requests per second on average (rate), and in a burst. Both are required, because API Gateway refuses every connect if one is missing."
  type        = object({ rate = number, burst = number })
  default     = { rate = 1000, burst = 1000 }

  validation {
    condition     = var.throttling.rate > 0 && var.throttling.burst > 0
    error_message = "throttling.rate and throttling.burst must be greater than 0. With 0, API Gateway refuses every connect with status 429."
  }
}

variable "access_logs" {
  description = "Whether the API logs each connect and message. Query strings aren't logged. The account needs a CloudWatch role for API Gateway. All stages share that role, and this stack doesn't create it."
  type        = bool
  default     = false
}

variable "domain" {
  description = "A custom domain and the ARN of its certificate in the same region. null uses the domain of API Gateway."
  type        = object({ name = string, certificate_arn = string })
  default     = null

  validation {
    condition     = var.domain == null || can(regex("^[a-z0-9-]+(\\.[a-z0-9-]+)+$", var.domain.name))
    error_message = "domain.name must be a host name such as live.example.com, without a scheme or a path."
  }

  validation {
    condition     = var.domain == null || can(regex("^arn:[a-z-]+:acm:[a-z0-9-]+:[0-9]{12}:certificate/.+$", var.domain.certificate_arn))
    error_message = "domain.certificate_arn must be the ARN of an ACM certificate."
  }
}

variable "existing_user_pool" {
  description = "An existing user pool and app client for speakers. null creates both."
  type        = object({ user_pool_id = string, client_id = string })
  default     = null

  validation {
    condition     = var.existing_user_pool == null || can(regex("^[a-z0-9-]+_[A-Za-z0-9]+$", var.existing_user_pool.user_pool_id))
    error_message = "existing_user_pool.user_pool_id must be the ID of a user pool, such as eu-central-1_AbCdEfGhI."
  }

  validation {
    condition     = var.existing_user_pool == null || can(regex(local.supported_regions, split("_", var.existing_user_pool.user_pool_id)[0])) || !can(regex("^[a-z0-9-]+_[A-Za-z0-9]+$", var.existing_user_pool.user_pool_id))
    error_message = "existing_user_pool must be in one of the partitions aws and aws-us-gov. In other partitions, the issuer of tokens isn't in the domain amazonaws.com."
  }

  validation {
    condition     = var.existing_user_pool == null || can(regex("^[A-Za-z0-9]+$", var.existing_user_pool.client_id))
    error_message = "existing_user_pool.client_id must be the ID of an app client, which consists of letters and digits."
  }
}

variable "self_sign_up" {
  description = "Whether users can sign up as speakers. If false, only administrators create users. Like the following variables up to password_minimum_length, it applies to a user pool that the stack creates."
  type        = bool
  default     = false
}

variable "mfa" {
  description = "Multi-factor authentication of speakers by authenticator app: OFF, OPTIONAL or ON."
  type        = string
  default     = "OPTIONAL"

  validation {
    condition     = contains(["OFF", "OPTIONAL", "ON"], var.mfa)
    error_message = "mfa must be OFF, OPTIONAL or ON."
  }
}

variable "token_minutes" {
  description = "The lifetime of ID and access tokens, in minutes."
  type        = number
  default     = 60

  validation {
    condition     = var.token_minutes >= 5 && var.token_minutes <= 1440
    error_message = "token_minutes must be from 5 to 1440, the range that Cognito supports."
  }
}

variable "refresh_token_days" {
  description = "The lifetime of refresh tokens, in days. Speakers stay signed in for this time."
  type        = number
  default     = 30

  validation {
    condition     = var.refresh_token_days >= 1 && var.refresh_token_days <= 3650
    error_message = "refresh_token_days must be from 1 to 3650, the range that Cognito supports."
  }
}

variable "password_minimum_length" {
  description = "The minimum length of speakers' passwords."
  type        = number
  default     = 12

  validation {
    condition     = var.password_minimum_length >= 8 && var.password_minimum_length <= 99
    error_message = "password_minimum_length must be from 8 to 99. Cognito allows 6, but a speaker's account needs a stronger password."
  }
}

variable "sign_in_page" {
  description = "Cognito's sign-in page for the user pool that the stack creates: the prefix of its domain, and the URLs to which it redirects after sign-in and sign-out. null creates no page."
  type        = object({ domain_prefix = string, callback_urls = set(string), logout_urls = set(string) })
  default     = null

  validation {
    condition     = var.sign_in_page == null || var.existing_user_pool == null
    error_message = "sign_in_page can't be set together with existing_user_pool, because the stack adds a page only to a user pool that it creates."
  }

  # Source: CreateUserPoolDomain, Amazon Cognito User Pools API Reference.
  validation {
    condition     = var.sign_in_page == null || can(regex("^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$", var.sign_in_page.domain_prefix))
    error_message = "sign_in_page.domain_prefix must be 1 to 63 lowercase letters, digits and hyphens, without a hyphen at either end, because it is the first part of the page's domain."
  }

  # Source: "Domain cannot contain reserved word: cognito", the error of CreateUserPoolDomain in issue
  # 3854 of aws-amplify/amplify-cli.
  validation {
    condition     = !can(regex("aws|amazon|cognito", var.sign_in_page.domain_prefix))
    error_message = "sign_in_page.domain_prefix can't contain aws, amazon or cognito, because Cognito reserves these words."
  }

  # Source of this and the next validation: CreateUserPoolClient, Amazon Cognito User Pools API
  # Reference.
  validation {
    condition     = var.sign_in_page == null || try(length(var.sign_in_page.callback_urls) >= 1 && length(var.sign_in_page.callback_urls) <= 100 && length(var.sign_in_page.logout_urls) <= 100, false)
    error_message = "sign_in_page needs 1 to 100 callback_urls, and at most 100 logout_urls."
  }

  validation {
    condition = var.sign_in_page == null || try(alltrue([
      for url in setunion(var.sign_in_page.callback_urls, var.sign_in_page.logout_urls) :
      length(url) <= 1024 && can(regex("^(https://[^/?#\\s]+|http://(localhost|127\\.0\\.0\\.1|\\[::1\\])(:[0-9]+)?)([/?][^#\\s]*)?$", url))
    ]), false)
    error_message = "callback_urls and logout_urls of sign_in_page must be URLs of at most 1,024 characters that start with https:// and have no fragment. Cognito accepts http:// only for localhost, 127.0.0.1 and [::1]."
  }
}

variable "point_in_time_recovery" {
  description = "Whether the tables except captions and rate_limits can be restored to any second of the last 35 days."
  type        = bool
  default     = false
}

variable "managed_table_key" {
  description = "Whether to encrypt the tables with the account's key aws/dynamodb instead of a key that AWS owns. CloudTrail records the use of the account's key, and KMS charges each use."
  type        = bool
  default     = false
}

variable "deletion_protection" {
  description = "Whether to protect the tables and the user pool from deletion."
  type        = bool
  default     = false
}

variable "alarms" {
  description = "The alarms of the stage: none (no dashboard either), essential (failures that affect clients) or all. docs/reference/metrics-and-alarms.md lists them with their cost."
  type        = string
  default     = "all"

  validation {
    condition     = contains(["none", "essential", "all"], var.alarms)
    error_message = "alarms must be none, essential or all."
  }
}

variable "alarm_emails" {
  description = "The email addresses that receive alarms. AWS sends each a link to confirm the subscription."
  type        = set(string)
  default     = []

  validation {
    condition     = alltrue([for email in var.alarm_emails : can(regex("^[^@\\s]+@[^@\\s]+\\.[^@\\s]+$", email))])
    error_message = "alarm_emails must be email addresses, such as operations@example.com."
  }
}

variable "max_active_sessions" {
  description = "The number of concurrent sessions that the stage is designed for. The service doesn't enforce it. An alarm triggers at 90%."
  type        = number
  default     = 100

  validation {
    condition     = var.max_active_sessions >= 1 && floor(var.max_active_sessions) == var.max_active_sessions
    error_message = "max_active_sessions must be a whole number of at least 1."
  }
}

variable "saved_queries" {
  description = "Whether to save log queries in CloudWatch Logs Insights, which not every AWS emulator supports."
  type        = bool
  default     = true
}
