# The tables and the user pool.
#
#   terraform test -filter=tests/data.tftest.hcl

mock_provider "aws" {
  source          = "./tests/aws"
  override_during = plan
}

variables {
  name_prefix             = "broadcast-sessions-dev"
  schema_file             = "../chalicelib/tables.json"
  point_in_time_recovery  = false
  deletion_protection     = false
  managed_key             = false
  name                    = "broadcast-sessions-dev"
  existing                = null
  self_sign_up            = false
  mfa                     = "OPTIONAL"
  token_minutes           = 60
  refresh_token_days      = 30
  password_minimum_length = 12
  sign_in_page            = null
  region                  = "eu-central-1"
}

run "tables" {
  command = plan

  module {
    source = "./modules/dynamodb"
  }

  assert {
    condition     = toset(keys(aws_dynamodb_table.this)) == toset(keys(jsondecode(file(var.schema_file))))
    error_message = "The tables differ from those in the schema."
  }

  assert {
    condition = alltrue([
      for name, table in jsondecode(file(var.schema_file)) :
      aws_dynamodb_table.this[name].hash_key == table.partition_key.name &&
      aws_dynamodb_table.this[name].range_key == try(table.sort_key.name, null) &&
      aws_dynamodb_table.this[name].ttl[0].attribute_name == table.ttl_attribute &&
      aws_dynamodb_table.this[name].ttl[0].enabled &&
      join(" ", sort(aws_dynamodb_table.this[name].global_secondary_index[*].name)) == join(" ", sort(table.indexes[*].name))
    ])
    error_message = "A table's key, TTL attribute or indexes differ from the schema."
  }

  assert {
    condition = {
      for attribute in aws_dynamodb_table.this["captions"].attribute : attribute.name => attribute.type
    } == { sessionLanguage = "S", seq = "N" }
    error_message = "The table captions must declare its partition key and its sort key."
  }

  assert {
    condition = alltrue([
      for table in aws_dynamodb_table.this :
      table.billing_mode == "PAY_PER_REQUEST" && !table.server_side_encryption[0].enabled
    ])
    error_message = "A table isn't on-demand, or is encrypted with a key that KMS charges for."
  }

  assert {
    condition = !anytrue([
      for table in aws_dynamodb_table.this :
      table.deletion_protection_enabled || table.point_in_time_recovery[0].enabled
    ])
    error_message = "A table is protected although the variables are false."
  }
}

run "protected_tables" {
  command = plan

  module {
    source = "./modules/dynamodb"
  }

  variables {
    point_in_time_recovery = true
    deletion_protection    = true
  }

  assert {
    condition     = alltrue([for table in aws_dynamodb_table.this : table.deletion_protection_enabled])
    error_message = "A table isn't protected from deletion."
  }

  assert {
    condition = alltrue([
      for name, table in aws_dynamodb_table.this :
      table.point_in_time_recovery[0].enabled == !contains(["captions", "rate_limits"], name)
    ])
    error_message = "All tables except captions and rate_limits must have point-in-time recovery."
  }
}

run "tables_with_the_managed_key" {
  command = plan

  module {
    source = "./modules/dynamodb"
  }

  variables {
    managed_key = true
  }

  assert {
    condition     = alltrue([for table in aws_dynamodb_table.this : table.server_side_encryption[0].enabled])
    error_message = "A table is encrypted with a key that AWS owns."
  }
}

run "user_pool" {
  command = plan

  module {
    source = "./modules/cognito"
  }

  assert {
    condition     = aws_cognito_user_pool.this[0].admin_create_user_config[0].allow_admin_create_user_only
    error_message = "Users can sign up although self_sign_up is false."
  }

  assert {
    condition     = aws_cognito_user_pool.this[0].username_configuration[0].case_sensitive == false
    error_message = "Usernames must not be case-sensitive."
  }

  assert {
    condition     = aws_cognito_user_pool.this[0].mfa_configuration == "OPTIONAL" && aws_cognito_user_pool.this[0].software_token_mfa_configuration[0].enabled
    error_message = "Speakers can't set up a second factor."
  }

  assert {
    condition     = aws_cognito_user_pool.this[0].password_policy[0].minimum_length == 12
    error_message = "The minimum password length differs from the variable."
  }

  assert {
    condition     = aws_cognito_user_pool.this[0].deletion_protection == "INACTIVE"
    error_message = "The user pool is protected although deletion_protection is false."
  }

  assert {
    condition     = aws_cognito_user_pool_client.this[0].id_token_validity == 60 && aws_cognito_user_pool_client.this[0].refresh_token_validity == 30
    error_message = "The lifetime of tokens differs from the variables."
  }

  assert {
    condition = (
      length(aws_cognito_user_pool_domain.this) == 0 &&
      aws_cognito_user_pool_client.this[0].allowed_oauth_flows_user_pool_client == false &&
      length(aws_cognito_user_pool_client.this[0].allowed_oauth_flows) == 0 &&
      length(aws_cognito_user_pool_client.this[0].allowed_oauth_scopes) == 0 &&
      length(aws_cognito_user_pool_client.this[0].callback_urls) == 0 &&
      length(aws_cognito_user_pool_client.this[0].logout_urls) == 0 &&
      output.sign_in_url == null
    )
    error_message = "There is a sign-in page although sign_in_page is null."
  }
}

run "sign_in_page" {
  command = plan

  module {
    source = "./modules/cognito"
  }

  variables {
    sign_in_page = {
      domain_prefix = "my-hall"
      callback_urls = ["https://live.example.com/"]
      logout_urls   = ["https://live.example.com/bye"]
    }
  }

  assert {
    condition     = aws_cognito_user_pool_domain.this[0].domain == "my-hall" && output.sign_in_url == "https://my-hall.auth.eu-central-1.amazoncognito.com"
    error_message = "The sign-in page's domain differs from the variable."
  }

  assert {
    condition = (
      aws_cognito_user_pool_client.this[0].allowed_oauth_flows_user_pool_client &&
      aws_cognito_user_pool_client.this[0].allowed_oauth_flows == toset(["code"]) &&
      aws_cognito_user_pool_client.this[0].supported_identity_providers == toset(["COGNITO"])
    )
    error_message = "The authorization code flow must be the only flow."
  }

  assert {
    condition     = aws_cognito_user_pool_client.this[0].allowed_oauth_scopes == toset(["openid", "email", "profile"])
    error_message = "The scopes differ from those of the local server."
  }

  assert {
    condition = (
      aws_cognito_user_pool_client.this[0].callback_urls == toset(["https://live.example.com/"]) &&
      aws_cognito_user_pool_client.this[0].logout_urls == toset(["https://live.example.com/bye"])
    )
    error_message = "The redirect URLs differ from the variable."
  }
}

run "sign_in_page_of_govcloud" {
  command = plan

  module {
    source = "./modules/cognito"
  }

  variables {
    region = "us-gov-west-1"
    sign_in_page = {
      domain_prefix = "my-hall"
      callback_urls = ["https://live.example.com/"]
      logout_urls   = []
    }
  }

  assert {
    condition     = output.sign_in_url == "https://my-hall.auth-fips.us-gov-west-1.amazoncognito.com"
    error_message = "In GovCloud, the domain of a sign-in page must contain auth-fips."
  }
}

run "protected_user_pool" {
  command = plan

  module {
    source = "./modules/cognito"
  }

  variables {
    deletion_protection = true
  }

  assert {
    condition     = aws_cognito_user_pool.this[0].deletion_protection == "ACTIVE"
    error_message = "The user pool isn't protected from deletion."
  }
}

run "open_user_pool" {
  command = plan

  module {
    source = "./modules/cognito"
  }

  variables {
    self_sign_up = true
    mfa          = "OFF"
  }

  assert {
    condition     = !aws_cognito_user_pool.this[0].admin_create_user_config[0].allow_admin_create_user_only
    error_message = "Users can't sign up although self_sign_up is true."
  }

  assert {
    condition     = length(aws_cognito_user_pool.this[0].software_token_mfa_configuration) == 0
    error_message = "AWS refuses the configuration of a second factor if MFA is off."
  }
}

run "existing_user_pool" {
  command = plan

  module {
    source = "./modules/cognito"
  }

  variables {
    existing = { user_pool_id = "eu-central-1_AbCdEfGhI", client_id = "a-client" }
  }

  assert {
    condition     = length(aws_cognito_user_pool.this) == 0 && length(aws_cognito_user_pool_client.this) == 0
    error_message = "The stack creates a user pool although one exists."
  }

  assert {
    condition     = output.user_pool_id == "eu-central-1_AbCdEfGhI" && output.client_id == "a-client"
    error_message = "The outputs differ from the existing user pool."
  }
}
