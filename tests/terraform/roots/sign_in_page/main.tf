# A user pool with or without a sign-in page.

variable "has_page" {
  type = bool
}

module "this" {
  source = "../../../../terraform/modules/cognito"

  name                    = "sign-in-page"
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

output "user_pool_id" {
  value = module.this.user_pool_id
}

output "client_id" {
  value = module.this.client_id
}

output "sign_in_url" {
  value = module.this.sign_in_url
}
