# The user pool twice: one that is made here, and one that is there already.

module "made" {
  source = "../../../../terraform/modules/cognito"

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
  source = "../../../../terraform/modules/cognito"

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

output "made" {
  value = { user_pool_id = module.made.user_pool_id, client_id = module.made.client_id }
}

output "existing" {
  value = { user_pool_id = module.existing.user_pool_id, client_id = module.existing.client_id }
}
