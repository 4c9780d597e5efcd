# What holds data: the tables and the user pool, and what protects them.
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
    error_message = "There are other tables than the schema's."
  }

  assert {
    condition = alltrue([
      for name, table in jsondecode(file(var.schema_file)) :
      aws_dynamodb_table.this[name].hash_key == table.partition_key.name &&
      aws_dynamodb_table.this[name].ttl[0].attribute_name == table.ttl_attribute &&
      aws_dynamodb_table.this[name].ttl[0].enabled &&
      join(" ", sort(aws_dynamodb_table.this[name].global_secondary_index[*].name)) == join(" ", sort(table.indexes[*].name))
    ])
    error_message = "A table is not as the schema says."
  }

  assert {
    condition = alltrue([
      for table in aws_dynamodb_table.this :
      table.billing_mode == "PAY_PER_REQUEST" && !table.server_side_encryption[0].enabled
    ])
    error_message = "A table is not on demand, or encrypted with a key that KMS charges for."
  }

  assert {
    condition = !anytrue([
      for table in aws_dynamodb_table.this :
      table.deletion_protection_enabled || table.point_in_time_recovery[0].enabled
    ])
    error_message = "A table is protected that was not to be."
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
    error_message = "A table is not protected."
  }

  assert {
    condition = alltrue([
      for name, table in aws_dynamodb_table.this :
      table.point_in_time_recovery[0].enabled == (name != "rate_limits")
    ])
    error_message = "Hashes of addresses can be restored, or other tables cannot."
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
    error_message = "Anybody may make himself a speaker."
  }

  assert {
    condition     = aws_cognito_user_pool.this[0].username_configuration[0].case_sensitive == false
    error_message = "Anna@example.com and anna@example.com are two speakers."
  }

  assert {
    condition     = aws_cognito_user_pool.this[0].mfa_configuration == "OPTIONAL" && aws_cognito_user_pool.this[0].software_token_mfa_configuration[0].enabled
    error_message = "There is no second factor to be had."
  }

  assert {
    condition     = aws_cognito_user_pool.this[0].password_policy[0].minimum_length == 12
    error_message = "The password may be shorter than was said."
  }

  assert {
    condition     = aws_cognito_user_pool.this[0].deletion_protection == "INACTIVE"
    error_message = "The pool is protected that was not to be."
  }

  assert {
    condition     = aws_cognito_user_pool_client.this[0].id_token_validity == 60 && aws_cognito_user_pool_client.this[0].refresh_token_validity == 30
    error_message = "Tokens live longer, or shorter, than was said."
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
    error_message = "There is a sign-in page that no variable asks for."
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
    error_message = "The page is at another domain than the variable says."
  }

  assert {
    condition = (
      aws_cognito_user_pool_client.this[0].allowed_oauth_flows_user_pool_client &&
      aws_cognito_user_pool_client.this[0].allowed_oauth_flows == toset(["code"]) &&
      aws_cognito_user_pool_client.this[0].supported_identity_providers == toset(["COGNITO"])
    )
    error_message = "Speakers of the pool can't sign in with an authorization code, or can without one."
  }

  assert {
    condition     = aws_cognito_user_pool_client.this[0].allowed_oauth_scopes == toset(["openid", "email", "profile"])
    error_message = "The scopes are not those of the local server."
  }

  assert {
    condition = (
      aws_cognito_user_pool_client.this[0].callback_urls == toset(["https://live.example.com/"]) &&
      aws_cognito_user_pool_client.this[0].logout_urls == toset(["https://live.example.com/bye"])
    )
    error_message = "The page returns to other URLs than the variable says."
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
    error_message = "In GovCloud the domain of a sign-in page is in auth-fips."
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
    error_message = "The pool is not protected."
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
    error_message = "Nobody may make himself a speaker."
  }

  assert {
    condition     = length(aws_cognito_user_pool.this[0].software_token_mfa_configuration) == 0
    error_message = "AWS refuses a configured second factor where there is none."
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
    error_message = "A second pool is made."
  }

  assert {
    condition     = output.user_pool_id == "eu-central-1_AbCdEfGhI" && output.client_id == "a-client"
    error_message = "The pool that was given is not used."
  }
}
