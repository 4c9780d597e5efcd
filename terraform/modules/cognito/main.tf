resource "aws_cognito_user_pool" "this" {
  count = var.existing == null ? 1 : 0

  name                     = var.name
  username_attributes      = ["email"]
  auto_verified_attributes = ["email"]
  mfa_configuration        = var.mfa
  deletion_protection      = var.deletion_protection ? "ACTIVE" : "INACTIVE"

  # Cognito cannot change this later, so a pool that is there already keeps what it has: to change it
  # would replace the pool, and its speakers would be lost.
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

  # SRP for the speaker's page, and sign-in by an administrator for command lines. The local server
  # reads the same file.
  explicit_auth_flows = jsondecode(file("${path.module}/app_client.json")).explicit_auth_flows

  token_validity_units {
    id_token      = "minutes"
    access_token  = "minutes"
    refresh_token = "days"
  }
}
