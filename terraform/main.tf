# The stack of one stage. The workspace has the stage's name, and so does every resource.

provider "aws" {
  region = var.region

  default_tags {
    tags = {
      application = "broadcast-sessions"
      stage       = var.stage
    }
  }
}

locals {
  prefix = "broadcast-sessions-${var.stage}"

  # The sweep checks sessions for up to 40 s, then waits for grace periods that end within 60 s. No client
  # waits for the interpreter, which translates into all languages at the same time.
  memory_mb = merge({ interpreter = 512, sweep = 512 }, var.memory_mb)
  timeouts  = { for name in local.functions : name => lookup(merge({ interpreter = 60, sweep = 150 }, var.timeout_seconds), name, 29) }
}

module "dynamodb" {
  source = "./modules/dynamodb"

  name_prefix            = local.prefix
  schema_file            = "${path.root}/../chalicelib/tables.json"
  point_in_time_recovery = var.point_in_time_recovery
  deletion_protection    = var.deletion_protection
  managed_key            = var.managed_table_key
}

module "cognito" {
  source = "./modules/cognito"

  name                    = local.prefix
  existing                = var.existing_user_pool
  self_sign_up            = var.self_sign_up
  mfa                     = var.mfa
  token_minutes           = var.token_minutes
  refresh_token_days      = var.refresh_token_days
  password_minimum_length = var.password_minimum_length
  deletion_protection     = var.deletion_protection
  sign_in_page            = var.sign_in_page
  region                  = var.region
}

module "media" {
  source = "./modules/media"
  count  = var.speech == "on" ? 1 : 0

  name_prefix = local.prefix
  origins     = var.media_origins
}

module "app" {
  source = "./modules/app"

  stage              = var.stage
  tables             = module.dynamodb.tables
  user_pool_id       = module.cognito.user_pool_id
  client_id          = module.cognito.client_id
  settings           = var.settings
  tracing            = var.tracing
  log_retention_days = var.log_retention_days
  throttling         = var.throttling
  access_logs        = var.access_logs
  domain             = var.domain
  pipeline_function  = var.pipeline_function
  media              = one(module.media)

  functions = {
    for name in local.functions : name => {
      memory_mb            = lookup(local.memory_mb, name, 256)
      timeout_seconds      = local.timeouts[name]
      reserved_concurrency = lookup(var.reserved_concurrency, name, -1)
    }
  }
}

module "alarms" {
  source = "./modules/alarms"

  name_prefix         = local.prefix
  region              = var.region
  level               = var.alarms
  emails              = var.alarm_emails
  stage               = var.stage
  max_active_sessions = var.max_active_sessions
  saved_queries       = var.saved_queries
  api_id              = module.app.api_id
  tables              = { for name, table in module.dynamodb.tables : name => table.name }
  functions = {
    for name, function_name in module.app.functions : name => {
      name            = function_name
      timeout_seconds = local.timeouts[name]
      log_group       = module.app.log_groups[name]
    }
  }
}
