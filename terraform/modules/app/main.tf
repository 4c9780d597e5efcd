# The functions' environments and invocation settings. `make package` lets Chalice generate
# chalice.tf.json, and chalice_override.tf changes it.

locals {
  # Keyed by the names in app.py. Chalice's own names of three functions are longer.
  functions = merge(
    {
      authorizer = aws_lambda_function.authorizer
      connect    = aws_lambda_function.websocket_connect
      message    = aws_lambda_function.websocket_message
      disconnect = aws_lambda_function.websocket_disconnect
      outcome    = aws_lambda_function.outcome
      publish    = aws_lambda_function.publish
      sweep      = aws_lambda_function.sweep
    },
    { for function in aws_lambda_function.interpreter : "interpreter" => function },
  )

  # If the pipeline is another function, nothing invokes the interpreter.
  has_interpreter = var.pipeline_function == null

  account   = data.aws_caller_identity.chalice.account_id
  partition = data.aws_partition.chalice.partition
  region    = data.aws_region.chalice.name
  prefix    = "broadcast-sessions-${var.stage}"

  execution_arn = "arn:${local.partition}:execute-api:${local.region}:${local.account}:${aws_apigatewayv2_api.websocket_api.id}"
  lambda_arn    = "arn:${local.partition}:lambda:${local.region}:${local.account}:function"
  outcome_name  = "${local.prefix}-outcome"

  # The name or ARN of the function that receives the events of the pipeline. It is empty if none does.
  pipeline_function = local.has_interpreter ? "${local.prefix}-interpreter" : var.pipeline_function
  pipeline_arn      = startswith(local.pipeline_function, "arn:") ? local.pipeline_function : "${local.lambda_arn}:${local.pipeline_function}"

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

  session_environment = merge(
    var.settings,
    local.common_environment,
    {
      SESSIONS_TABLE    = var.tables["sessions"].name
      CONNECTIONS_TABLE = var.tables["connections"].name
      CAPTIONS_TABLE    = var.tables["captions"].name
      OUTCOME_FUNCTION  = local.outcome_name
      CONNECTIONS_URL   = "https://${aws_apigatewayv2_api.websocket_api.id}.execute-api.${local.region}.amazonaws.com/${var.stage}"
    },
    local.pipeline_function == "" ? {} : { PIPELINE_FUNCTION = local.pipeline_function },
  )

  interpreter_environment = merge(
    local.session_environment,
    var.media == null ? {} : {
      SPEECH       = "on"
      MEDIA_BUCKET = var.media.bucket
      MEDIA_URL    = var.media.url
    },
  )
}

# The key of the hashes that replace addresses, users and connections in the log and in the table of
# rate limits. It is generated once and kept in the state. Each plan generates another key, which is
# ignored. This needs no provider for random numbers, and 122 bits of the key are random (RFC 9562,
# section 5.4). The key isn't the resource's input, because Terraform would also show it as the output.
resource "terraform_data" "hash_key" {
  triggers_replace = sensitive(uuid())

  lifecycle {
    ignore_changes = [triggers_replace]
  }
}

# Lambda's default is to retry after one and two minutes. An outcome is of no use then, because the
# client's next heartbeat has already replaced it.
resource "aws_lambda_function_event_invoke_config" "outcome" {
  function_name                = aws_lambda_function.outcome.function_name
  maximum_event_age_in_seconds = 60
  maximum_retry_attempts       = 0
}

# Lambda would repeat a failed invocation after a minute. By then, the speaker is several phrases ahead,
# and a late caption is worse than a missing one. Lambda still repeats throttled invocations, but not
# for longer than a minute, which is the shortest time that it supports.
# Source: "How Lambda handles errors and retries with asynchronous invocation", AWS Lambda Developer
# Guide.
resource "aws_lambda_function_event_invoke_config" "interpreter" {
  count = local.has_interpreter ? 1 : 0

  function_name                = aws_lambda_function.interpreter[0].function_name
  maximum_event_age_in_seconds = 60
  maximum_retry_attempts       = 0
}

# The sweep of the next minute replaces one that failed or is late.
resource "aws_lambda_function_event_invoke_config" "sweep" {
  function_name                = aws_lambda_function.sweep.function_name
  maximum_event_age_in_seconds = 60
  maximum_retry_attempts       = 0
}
