locals {
  # The local server reads the same file.
  app_client = jsondecode(file("${path.module}/app_client.json"))

  # GovCloud has only FIPS endpoints.
  # Source: "Amazon Cognito in AWS GovCloud (US)", AWS GovCloud (US) User Guide.
  page_domain = "${startswith(var.region, "us-gov-") ? "auth-fips" : "auth"}.${var.region}.amazoncognito.com"
}

resource "aws_cognito_user_pool" "this" {
  count = var.existing == null ? 1 : 0

  name                     = var.name
  username_attributes      = ["email"]
  auto_verified_attributes = ["email"]
  mfa_configuration        = var.mfa
  deletion_protection      = var.deletion_protection ? "ACTIVE" : "INACTIVE"

  # Cognito can't change this later. lifecycle ignores changes, because Terraform would otherwise
  # replace an existing pool and delete its users.
  username_configuration {
    case_sensitive = false
  }

  admin_create_user_config {
    allow_admin_create_user_only = !var.self_sign_up
  }

  password_policy {
    minimum_length                   = var.password_minimum_length
    require_lowercase                = true
    require_uppercase                = true
    require_numbers                  = true
    require_symbols                  = false
    temporary_password_validity_days = 7
  }

  account_recovery_setting {
    recovery_mechanism {
      name     = "verified_email"
      priority = 1
    }
  }

  dynamic "software_token_mfa_configuration" {
    for_each = var.mfa == "OFF" ? [] : [true]

    content {
      enabled = true
    }
  }

  lifecycle {
    ignore_changes = [username_configuration]
  }
}

resource "aws_cognito_user_pool_client" "this" {
  count = var.existing == null ? 1 : 0

  name                          = var.name
  user_pool_id                  = aws_cognito_user_pool.this[0].id
  generate_secret               = false
  prevent_user_existence_errors = "ENABLED"
  enable_token_revocation       = true
  id_token_validity             = var.token_minutes
  access_token_validity         = var.token_minutes
  refresh_token_validity        = var.refresh_token_days

  # SRP for the speaker page, and administrator sign-in for the command line.
  explicit_auth_flows = local.app_client.explicit_auth_flows

  # Without a sign-in page these are empty instead of null. With null, the provider would keep the
  # flows and URLs of a page that has been removed.
  allowed_oauth_flows_user_pool_client = var.sign_in_page != null
  allowed_oauth_flows                  = var.sign_in_page == null ? [] : local.app_client.allowed_oauth_flows
  allowed_oauth_scopes                 = var.sign_in_page == null ? [] : local.app_client.allowed_oauth_scopes
  callback_urls                        = var.sign_in_page == null ? [] : var.sign_in_page.callback_urls
  logout_urls                          = var.sign_in_page == null ? [] : var.sign_in_page.logout_urls

  # This has no effect without flows.
  supported_identity_providers = var.sign_in_page == null ? null : ["COGNITO"]

  token_validity_units {
    id_token      = "minutes"
    access_token  = "minutes"
    refresh_token = "days"
  }
}

# Cognito's sign-in page, in its classic version 1. Version 2 needs a branding style, which version
# 5.100 of the provider can't create.
resource "aws_cognito_user_pool_domain" "this" {
  count = var.existing == null && var.sign_in_page != null ? 1 : 0

  domain                = var.sign_in_page.domain_prefix
  user_pool_id          = aws_cognito_user_pool.this[0].id
  managed_login_version = 1
}
