variable "stage" {
  description = "The stage, which is also the workspace, and in the name of everything."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,15}$", var.stage))
    error_message = "A stage is named by 1 to 16 small letters, digits and hyphens, the first of them a letter: it is part of every resource's name."
  }

  validation {
    condition     = var.stage != "default"
    error_message = "No stage is named default: that is the workspace of whoever has selected none."
  }

  validation {
    condition     = var.stage == terraform.workspace
    error_message = "This is the file of stage ${var.stage}, but the workspace is ${terraform.workspace}: a stage is planned in the workspace of its name alone."
  }
}

variable "region" {
  description = "The AWS region."
  type        = string
  default     = "us-east-1"

  validation {
    condition     = can(regex("^[a-z]{2,}(-[a-z]+)+-[0-9]+$", var.region))
    error_message = "This is no AWS region; one looks like eu-central-1."
  }

  validation {
    condition     = can(regex(local.supported_regions, var.region)) || !can(regex("^[a-z]{2,}(-[a-z]+)+-[0-9]+$", var.region))
    error_message = "The stack supports the regions of the partitions aws and aws-us-gov. The endpoints in ${var.region} are in another domain than amazonaws.com, which the stack uses in URLs."
  }
}

locals {
  # The regions of the two partitions whose endpoints are in amazonaws.com.
  # Source: regionRegex in botocore's partitions.json.
  supported_regions = "^((us|eu|ap|sa|ca|me|af|il|mx)|us-gov)-[a-z]+-[0-9]+$"
}

locals {
  whole_settings = {
    HEARTBEAT_INTERVAL_SECONDS             = "seconds between heartbeats of speakers, and of listeners in their first five minutes"
    HEARTBEAT_SETTLED_SECONDS              = "seconds between heartbeats of listeners after their first five minutes"
    HEARTBEAT_TIMEOUT_SECONDS              = "seconds without a heartbeat before a participant can be lost"
    MAX_LISTENERS_PER_SESSION              = "how many listeners a session takes"
    MAX_REFUSED_COMMANDS                   = "refused commands in a row before the service closes the connection"
    RATE_LIMIT_CONNECTIONS_PER_MIN         = "connections that an address may open"
    RATE_LIMIT_CONNECTION_ATTEMPTS_PER_MIN = "refused attempts of an address, before it may come in only with a token or an invite code"
    RATE_LIMIT_HEARTBEATS_PER_MIN          = "heartbeats of a connection; twice as many are let pass"
    RATE_LIMIT_INVITED_JOINS_PER_MIN       = "joins of a session with its invite code"
    RATE_LIMIT_LISTENER_JOINS_PER_MIN      = "joins from an address without an invite code"
    RATE_LIMIT_SESSIONS_PER_HOUR           = "sessions that a user may create"
  }

  fractional_settings = {
    CONNECTION_REFRESH_MINUTES  = "the age from which a connection is told to be refreshed"
    CONNECTION_WARNING_MINUTES  = "the age from which it is also told how long it has left"
    SESSION_MAX_DURATION_HOURS  = "how long a session lasts without a heartbeat of its speaker"
    SPEAKER_CLOSE_GRACE_SECONDS = "how long a session waits for a speaker who closed the connection"
    SPEAKER_GRACE_SECONDS       = "how long a session waits for a speaker whose connection is lost"
  }

  settings = merge(local.whole_settings, local.fractional_settings, {
    LOG_LEVEL = "what is logged: DEBUG, INFO, WARNING or ERROR"
  })
}

variable "settings" {
  description = "The application's settings, by the names that stand above; what is left out has the application's default."
  type        = map(string)
  default     = {}

  validation {
    condition     = length(setsubtract(keys(var.settings), keys(local.settings))) == 0
    error_message = "There is a setting of no such name; the settings are ${join("; ", [for name, meaning in local.settings : "${name}, ${meaning}"])}."
  }

  validation {
    condition     = alltrue([for name, value in var.settings : name == "LOG_LEVEL" || try(tonumber(value) > 0 && tonumber(value) <= 1000000000, false)])
    error_message = "Every setting but LOG_LEVEL must be a number greater than 0 and at most 1,000,000,000: the application refuses to start otherwise."
  }

  validation {
    condition = alltrue([
      for name in keys(local.whole_settings) :
      try(floor(tonumber(var.settings[name])) == tonumber(var.settings[name]), true)
    ])
    error_message = "${join(", ", keys(local.whole_settings))} must be whole numbers: the application refuses to start otherwise."
  }

  validation {
    condition     = contains(["DEBUG", "INFO", "WARNING", "ERROR"], lookup(var.settings, "LOG_LEVEL", "INFO"))
    error_message = "LOG_LEVEL is DEBUG, INFO, WARNING or ERROR."
  }

  # The application refuses the same contradictions (chalicelib/settings.py), but only when its
  # functions start. A value that is no number has a message of its own.
  validation {
    condition     = try(tonumber(lookup(var.settings, "SESSION_MAX_DURATION_HOURS", 2)) * 3600 >= 1, true)
    error_message = "SESSION_MAX_DURATION_HOURS must be at least a second."
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
    error_message = "HEARTBEAT_INTERVAL_SECONDS and HEARTBEAT_SETTLED_SECONDS must be less than 600: API Gateway closes a connection that is idle for ten minutes."
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
    error_message = "HEARTBEAT_INTERVAL_SECONDS (30 by default) times RATE_LIMIT_HEARTBEATS_PER_MIN (2 by default) must be at least 60, or heartbeats that the service asks for exceed the limit."
  }

  # Without a value of its own, the shorter grace is never longer than the other.
  validation {
    condition     = try(tonumber(var.settings["SPEAKER_CLOSE_GRACE_SECONDS"]) <= tonumber(lookup(var.settings, "SPEAKER_GRACE_SECONDS", 60)), true)
    error_message = "SPEAKER_CLOSE_GRACE_SECONDS must be at most SPEAKER_GRACE_SECONDS (60 by default)."
  }
}

variable "memory_mb" {
  description = "Memory of functions, by their names in app.py; where left out 256, and 512 of sweep. A function's share of a CPU grows with it: 1,769 MB are a whole one."
  type        = map(number)
  default     = {}

  validation {
    condition     = length(setsubtract(keys(var.memory_mb), local.functions)) == 0
    error_message = "There is a function of no such name; the functions are ${join(", ", local.functions)}."
  }

  validation {
    condition     = alltrue([for memory in var.memory_mb : memory >= 128 && memory <= 10240 && floor(memory) == memory])
    error_message = "memory_mb must be whole numbers from 128 to 10240, which is what Lambda offers."
  }
}

variable "timeout_seconds" {
  description = "Timeouts of functions, by their names in app.py; where left out 29, and 150 of sweep."
  type        = map(number)
  default     = {}

  validation {
    condition     = length(setsubtract(keys(var.timeout_seconds), local.functions)) == 0
    error_message = "There is a function of no such name; the functions are ${join(", ", local.functions)}."
  }

  validation {
    condition     = alltrue([for name, timeout in var.timeout_seconds : name == "sweep" || (timeout >= 1 && timeout <= 29 && floor(timeout) == timeout)])
    error_message = "timeout_seconds must be whole numbers from 1 to 29: API Gateway waits 29 s for a function, and of what it does after that nobody hears."
  }

  validation {
    condition     = alltrue([for name in ["connect", "message", "disconnect"] : lookup(var.timeout_seconds, name, 29) >= 25])
    error_message = "The timeouts of connect, message and disconnect must be at least 25: an event plans 20 s of work, up to 10 s of it waiting for a grace, and its last request may take 5 s more. With less, Lambda stops the function before it has finished."
  }

  validation {
    condition     = try(var.timeout_seconds["sweep"] >= 150 && var.timeout_seconds["sweep"] <= 900 && floor(var.timeout_seconds["sweep"]) == var.timeout_seconds["sweep"], !contains(keys(var.timeout_seconds), "sweep"))
    error_message = "The timeout of sweep must be a whole number from 150 to 900: it begins no work after 110 s, and what it has begun can take 30 s more, and Lambda runs nothing longer than 900 s."
  }
}

variable "reserved_concurrency" {
  description = "How many of a function run at once at most, by its name in app.py, out of the account's own limit; unlimited where left out."
  type        = map(number)
  default     = {}

  validation {
    condition     = length(setsubtract(keys(var.reserved_concurrency), local.functions)) == 0
    error_message = "There is a function of no such name; the functions are ${join(", ", local.functions)}."
  }

  validation {
    condition     = alltrue([for count in var.reserved_concurrency : count >= 1 && floor(count) == count])
    error_message = "reserved_concurrency must be whole numbers from 1: with 0 the function would never run."
  }
}

variable "python_version" {
  description = "The version of Python that has to package the functions, which then run on it; null accepts any. scripts/stack.py refuses a package of another version."
  type        = string
  default     = null

  validation {
    condition     = contains(["3.11", "3.12", "3.13"], coalesce(var.python_version, "3.13"))
    error_message = "python_version must be 3.11, 3.12 or 3.13: make package accepts no other."
  }
}

variable "tracing" {
  description = "Whether X-Ray traces the functions."
  type        = bool
  default     = false
}

variable "log_retention_days" {
  description = "How long logs are kept, in days."
  type        = number
  default     = 1

  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653], var.log_retention_days)
    error_message = "CloudWatch keeps logs for 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288 or 3653 days."
  }
}

variable "throttling" {
  description = "What the API takes, in connects and messages a second: over time (rate), and at once (burst). Both, or API Gateway refuses every connect."
  type        = object({ rate = number, burst = number })
  default     = { rate = 1000, burst = 1000 }

  validation {
    condition     = var.throttling.rate > 0 && var.throttling.burst > 0
    error_message = "Both throttling figures must be greater than 0: with 0, every connect gets 429."
  }
}

variable "access_logs" {
  description = "Whether the API logs each connect and message, without query strings. The account needs a CloudWatch role for API Gateway, which is one for all stages and not made here."
  type        = bool
  default     = false
}

variable "domain" {
  description = "A domain of one's own and the ARN of its certificate, in the same region; null uses AWS's."
  type        = object({ name = string, certificate_arn = string })
  default     = null

  validation {
    condition     = var.domain == null || can(regex("^[a-z0-9-]+(\\.[a-z0-9-]+)+$", var.domain.name))
    error_message = "domain.name must be a host name such as live.example.com, without a scheme or a path."
  }

  validation {
    condition     = var.domain == null || can(regex("^arn:[a-z-]+:acm:[a-z0-9-]+:[0-9]{12}:certificate/.+$", var.domain.certificate_arn))
    error_message = "domain.certificate_arn must be the ARN of a certificate in ACM."
  }
}

variable "existing_user_pool" {
  description = "A user pool and app client whose speakers may speak; null makes both."
  type        = object({ user_pool_id = string, client_id = string })
  default     = null

  validation {
    condition     = var.existing_user_pool == null || can(regex("^[a-z0-9-]+_[A-Za-z0-9]+$", var.existing_user_pool.user_pool_id))
    error_message = "existing_user_pool.user_pool_id must be a user pool's id such as eu-central-1_AbCdEfGhI."
  }

  validation {
    condition     = var.existing_user_pool == null || can(regex(local.supported_regions, split("_", var.existing_user_pool.user_pool_id)[0])) || !can(regex("^[a-z0-9-]+_[A-Za-z0-9]+$", var.existing_user_pool.user_pool_id))
    error_message = "The stack supports user pools of the partitions aws and aws-us-gov: tokens of other partitions have an issuer in another domain than amazonaws.com."
  }

  validation {
    condition     = var.existing_user_pool == null || can(regex("^[A-Za-z0-9]+$", var.existing_user_pool.client_id))
    error_message = "existing_user_pool.client_id must be an app client's id, of letters and digits."
  }
}

variable "self_sign_up" {
  description = "Whether anybody may make himself a speaker; else an administrator does. For a pool that is made here, as the next four."
  type        = bool
  default     = false
}

variable "mfa" {
  description = "Whether speakers need a second factor, an authenticator app: OFF, OPTIONAL or ON."
  type        = string
  default     = "OPTIONAL"

  validation {
    condition     = contains(["OFF", "OPTIONAL", "ON"], var.mfa)
    error_message = "mfa is OFF, OPTIONAL or ON."
  }
}

variable "token_minutes" {
  description = "How long ID and access tokens live, in minutes."
  type        = number
  default     = 60

  validation {
    condition     = var.token_minutes >= 5 && var.token_minutes <= 1440
    error_message = "token_minutes must be from 5 to 1440: Cognito gives tokens for 5 minutes to a day."
  }
}

variable "refresh_token_days" {
  description = "How long a speaker stays signed in, in days."
  type        = number
  default     = 30

  validation {
    condition     = var.refresh_token_days >= 1 && var.refresh_token_days <= 3650
    error_message = "refresh_token_days must be from 1 to 3650, which is what Cognito offers."
  }
}

variable "password_minimum_length" {
  description = "The shortest password that a speaker may choose."
  type        = number
  default     = 12

  validation {
    condition     = var.password_minimum_length >= 8 && var.password_minimum_length <= 99
    error_message = "password_minimum_length must be from 8 to 99: Cognito allows 6, which is too short for who may address a hall."
  }
}

variable "sign_in_page" {
  description = "Cognito's sign-in page for the pool that the stack makes: the prefix of its domain, and the URLs to which it returns after a sign-in and a sign-out. null makes no page."
  type        = object({ domain_prefix = string, callback_urls = set(string), logout_urls = set(string) })
  default     = null

  validation {
    condition     = var.sign_in_page == null || var.existing_user_pool == null
    error_message = "sign_in_page can't be set together with existing_user_pool: the stack adds a page only to the pool that it makes."
  }

  # Source: CreateUserPoolDomain, Amazon Cognito User Pools API Reference.
  validation {
    condition     = var.sign_in_page == null || can(regex("^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$", var.sign_in_page.domain_prefix))
    error_message = "sign_in_page.domain_prefix must be 1 to 63 lowercase letters, digits and hyphens, without a hyphen at either end: Cognito makes it the first part of the page's domain."
  }

  # Source: "Domain cannot contain reserved word: cognito", the answer of CreateUserPoolDomain in issue
  # 3854 of aws-amplify/amplify-cli.
  validation {
    condition     = !can(regex("aws|amazon|cognito", var.sign_in_page.domain_prefix))
    error_message = "sign_in_page.domain_prefix can't contain aws, amazon or cognito: Cognito reserves these words."
  }

  # Source of this and the next: CreateUserPoolClient, Amazon Cognito User Pools API Reference.
  validation {
    condition     = var.sign_in_page == null || try(length(var.sign_in_page.callback_urls) >= 1 && length(var.sign_in_page.callback_urls) <= 100 && length(var.sign_in_page.logout_urls) <= 100, false)
    error_message = "sign_in_page needs 1 to 100 callback_urls, and at most 100 logout_urls."
  }

  validation {
    condition = var.sign_in_page == null || try(alltrue([
      for url in setunion(var.sign_in_page.callback_urls, var.sign_in_page.logout_urls) :
      length(url) <= 1024 && can(regex("^(https://[^/?#\\s]+|http://(localhost|127\\.0\\.0\\.1|\\[::1\\])(:[0-9]+)?)([/?][^#\\s]*)?$", url))
    ]), false)
    error_message = "callback_urls and logout_urls of sign_in_page must be URLs of at most 1,024 characters that begin with https://, without a fragment. Cognito accepts http:// only for localhost, 127.0.0.1 and [::1]."
  }
}

variable "point_in_time_recovery" {
  description = "Whether the tables except rate_limits can be restored to any second of the last 35 days."
  type        = bool
  default     = false
}

variable "managed_table_key" {
  description = "Whether the tables are encrypted with the account's key aws/dynamodb, whose use CloudTrail records and KMS charges, instead of a key that AWS owns."
  type        = bool
  default     = false
}

variable "deletion_protection" {
  description = "Whether the tables and the user pool are protected from deletion."
  type        = bool
  default     = false
}

variable "alarms" {
  description = "The alarms that the stage has: none, which also leaves out the dashboard; essential, those of failures that clients feel; or all. docs/reference/metrics-and-alarms.md lists them with their cost."
  type        = string
  default     = "all"

  validation {
    condition     = contains(["none", "essential", "all"], var.alarms)
    error_message = "alarms is none, essential or all."
  }
}

variable "alarm_emails" {
  description = "Who is told of alarms; each has to confirm by a link that AWS sends."
  type        = set(string)
  default     = []

  validation {
    condition     = alltrue([for email in var.alarm_emails : can(regex("^[^@\\s]+@[^@\\s]+\\.[^@\\s]+$", email))])
    error_message = "Each of alarm_emails must be an e-mail address."
  }
}

variable "max_active_sessions" {
  description = "For how many sessions at once the stage is laid out. Nothing enforces it: an alarm says when there are nine tenths of them."
  type        = number
  default     = 100

  validation {
    condition     = var.max_active_sessions >= 1 && floor(var.max_active_sessions) == var.max_active_sessions
    error_message = "max_active_sessions must be a whole number from 1."
  }
}

variable "saved_queries" {
  description = "Whether queries of the logs are saved in CloudWatch Logs Insights, which emulators of AWS may not have."
  type        = bool
  default     = true
}
