# What Chalice wrote stands in chalice.tf.json (`make package`), what it left out or pinned is put
# right in chalice_override.tf. Here is the rest: what each function may do and is told.

locals {
  # By the names of app.py; Chalice's own names for three of them are longer.
  functions = {
    authorizer = aws_lambda_function.authorizer
    connect    = aws_lambda_function.websocket_connect
    message    = aws_lambda_function.websocket_message
    disconnect = aws_lambda_function.websocket_disconnect
    outcome    = aws_lambda_function.outcome
    sweep      = aws_lambda_function.sweep
  }

  account   = data.aws_caller_identity.chalice.account_id
  partition = data.aws_partition.chalice.partition
  region    = data.aws_region.chalice.name
  prefix    = "broadcast-sessions-${var.stage}"

  execution_arn = "arn:${local.partition}:execute-api:${local.region}:${local.account}:${aws_apigatewayv2_api.websocket_api.id}"
  lambda_arn    = "arn:${local.partition}:lambda:${local.region}:${local.account}:function"
  outcome_name  = "${local.prefix}-outcome"

  common_environment = {
    STAGE             = var.stage
    RATE_LIMITS_TABLE = var.tables["rate_limits"].name
    HASH_KEY          = sensitive(terraform_data.hash_key.triggers_replace)
  }

  authorizer_environment = merge(
    { for name, value in var.settings : name => value if startswith(name, "RATE_LIMIT_") || name == "LOG_LEVEL" },
    local.common_environment,
    {
      COGNITO_USER_POOL_ID = var.user_pool_id
      COGNITO_CLIENT_ID    = var.client_id
    },
  )

  session_environment = merge(var.settings, local.common_environment, {
    SESSIONS_TABLE    = var.tables["sessions"].name
    CONNECTIONS_TABLE = var.tables["connections"].name
    OUTCOME_FUNCTION  = local.outcome_name
    CONNECTIONS_URL   = "https://${aws_apigatewayv2_api.websocket_api.id}.execute-api.${local.region}.amazonaws.com/${var.stage}"
  })
}

# The key of the hashes by which the log and the rate limits' table name addresses, users and
# connections. It is made once and kept in the state: each plan makes up another, which is ignored.
# No provider of random numbers is needed so, and 122 of its bits are random (RFC 9562, section 5.4).
# Not as the input, of which there would be an output, too, that Terraform shows.
resource "terraform_data" "hash_key" {
  triggers_replace = sensitive(uuid())

  lifecycle {
    ignore_changes = [triggers_replace]
  }
}

# An outcome that could not be sent at once is of no use a minute later: the client's next heartbeat
# has made it good. Lambda would try again after one minute, and after two.
resource "aws_lambda_function_event_invoke_config" "outcome" {
  function_name                = aws_lambda_function.outcome.function_name
  maximum_event_age_in_seconds = 60
  maximum_retry_attempts       = 0
}

# A sweep that fails, or comes too late, is made good by the next minute's.
resource "aws_lambda_function_event_invoke_config" "sweep" {
  function_name                = aws_lambda_function.sweep.function_name
  maximum_event_age_in_seconds = 60
  maximum_retry_attempts       = 0
}
