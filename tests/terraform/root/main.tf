# The tables of a stage for experiments, and of a stage with protected data. A new user pool, an
# existing one, and one whose sign-in page can be removed. The bucket for the audio of captions.

variable "has_page" {
  type    = bool
  default = false
}

module "plain" {
  source = "../../../terraform/modules/dynamodb"

  name_prefix            = "plain"
  schema_file            = "${path.module}/../../../chalicelib/tables.json"
  point_in_time_recovery = false
  deletion_protection    = false
  managed_key            = false
}

module "protected" {
  source = "../../../terraform/modules/dynamodb"

  name_prefix            = "protected"
  schema_file            = "${path.module}/../../../chalicelib/tables.json"
  point_in_time_recovery = true
  deletion_protection    = true
  managed_key            = true
}

module "made" {
  source = "../../../terraform/modules/cognito"

  name                    = "made"
  existing                = null
  self_sign_up            = false
  mfa                     = "OPTIONAL"
  token_minutes           = 15
  refresh_token_days      = 7
  password_minimum_length = 14
  deletion_protection     = true
  sign_in_page            = null
  region                  = "us-east-1"
}

module "existing" {
  source = "../../../terraform/modules/cognito"

  name                    = "existing"
  existing                = { user_pool_id = "us-east-1_AbCdEfGhI", client_id = "its-client" }
  self_sign_up            = false
  mfa                     = "OFF"
  token_minutes           = 60
  refresh_token_days      = 30
  password_minimum_length = 12
  deletion_protection     = false
  sign_in_page            = null
  region                  = "us-east-1"
}

module "with_page" {
  source = "../../../terraform/modules/cognito"

  name                    = "with-page"
  existing                = null
  self_sign_up            = false
  mfa                     = "OFF"
  token_minutes           = 60
  refresh_token_days      = 30
  password_minimum_length = 12
  deletion_protection     = false
  region                  = "us-east-1"

  sign_in_page = !var.has_page ? null : {
    domain_prefix = "my-hall"
    callback_urls = ["https://live.example.com/", "http://localhost:8000/"]
    logout_urls   = ["https://live.example.com/bye"]
  }
}

output "plain" {
  value = module.plain.tables
}

output "protected" {
  value = module.protected.tables
}

output "made" {
  value = { user_pool_id = module.made.user_pool_id, client_id = module.made.client_id }
}

output "existing" {
  value = { user_pool_id = module.existing.user_pool_id, client_id = module.existing.client_id }
}

output "with_page" {
  value = { user_pool_id = module.with_page.user_pool_id, client_id = module.with_page.client_id }
}

output "sign_in_url" {
  value = module.with_page.sign_in_url
}

module "media" {
  source = "../../../terraform/modules/media"

  name_prefix = "broadcast-sessions-made"
  origins     = ["https://live.example.com"]
}

output "media" {
  value = module.media
}
