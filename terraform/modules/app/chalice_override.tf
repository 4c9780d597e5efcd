# Terraform merges this file into chalice.tf.json, in which Chalice 1.34
# - requires Terraform below 1.4 and an AWS provider below 5,
# - adds no authorizer to $connect and no response to any route,
# - creates a deployment that never changes,
# - creates every function of app.py in every stage, and
# - gives the rule of a schedule the same name in every stage.
# Source: "Override Files", Terraform language; aws/chalice issues 1457, 1874, 2066.

terraform {
  required_version = ">= 1.11"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 5.100"
    }
  }
}

resource "aws_lambda_function" "authorizer" {
  role                           = aws_iam_role.this["authorizer"].arn
  memory_size                    = var.functions["authorizer"].memory_mb
  timeout                        = var.functions["authorizer"].timeout_seconds
  reserved_concurrent_executions = var.functions["authorizer"].reserved_concurrency

  environment {
    variables = local.authorizer_environment
  }

  logging_config {
    log_format = "Text"
    log_group  = aws_cloudwatch_log_group.this["authorizer"].name
  }

  tracing_config {
    mode = var.tracing ? "Active" : "PassThrough"
  }
}

resource "aws_lambda_function" "websocket_connect" {
  role                           = aws_iam_role.this["connect"].arn
  memory_size                    = var.functions["connect"].memory_mb
  timeout                        = var.functions["connect"].timeout_seconds
  reserved_concurrent_executions = var.functions["connect"].reserved_concurrency

  environment {
    variables = local.session_environment
  }

  logging_config {
    log_format = "Text"
    log_group  = aws_cloudwatch_log_group.this["connect"].name
  }

  tracing_config {
    mode = var.tracing ? "Active" : "PassThrough"
  }
}

resource "aws_lambda_function" "websocket_message" {
  role                           = aws_iam_role.this["message"].arn
  memory_size                    = var.functions["message"].memory_mb
  timeout                        = var.functions["message"].timeout_seconds
  reserved_concurrent_executions = var.functions["message"].reserved_concurrency

  environment {
    variables = local.session_environment
  }

  logging_config {
    log_format = "Text"
    log_group  = aws_cloudwatch_log_group.this["message"].name
  }

  tracing_config {
    mode = var.tracing ? "Active" : "PassThrough"
  }
}

resource "aws_lambda_function" "websocket_disconnect" {
  role                           = aws_iam_role.this["disconnect"].arn
  memory_size                    = var.functions["disconnect"].memory_mb
  timeout                        = var.functions["disconnect"].timeout_seconds
  reserved_concurrent_executions = var.functions["disconnect"].reserved_concurrency

  environment {
    variables = local.session_environment
  }

  logging_config {
    log_format = "Text"
    log_group  = aws_cloudwatch_log_group.this["disconnect"].name
  }

  tracing_config {
    mode = var.tracing ? "Active" : "PassThrough"
  }
}

resource "aws_lambda_function" "outcome" {
  role                           = aws_iam_role.this["outcome"].arn
  memory_size                    = var.functions["outcome"].memory_mb
  timeout                        = var.functions["outcome"].timeout_seconds
  reserved_concurrent_executions = var.functions["outcome"].reserved_concurrency

  environment {
    variables = local.session_environment
  }

  logging_config {
    log_format = "Text"
    log_group  = aws_cloudwatch_log_group.this["outcome"].name
  }

  tracing_config {
    mode = var.tracing ? "Active" : "PassThrough"
  }
}

resource "aws_lambda_function" "publish" {
  role                           = aws_iam_role.this["publish"].arn
  memory_size                    = var.functions["publish"].memory_mb
  timeout                        = var.functions["publish"].timeout_seconds
  reserved_concurrent_executions = var.functions["publish"].reserved_concurrency

  environment {
    variables = local.session_environment
  }

  logging_config {
    log_format = "Text"
    log_group  = aws_cloudwatch_log_group.this["publish"].name
  }

  tracing_config {
    mode = var.tracing ? "Active" : "PassThrough"
  }
}

resource "aws_lambda_function" "interpreter" {
  count = local.has_interpreter ? 1 : 0

  role                           = aws_iam_role.this["interpreter"].arn
  memory_size                    = var.functions["interpreter"].memory_mb
  timeout                        = var.functions["interpreter"].timeout_seconds
  reserved_concurrent_executions = var.functions["interpreter"].reserved_concurrency

  environment {
    variables = local.interpreter_environment
  }

  logging_config {
    log_format = "Text"
    log_group  = aws_cloudwatch_log_group.this["interpreter"].name
  }

  tracing_config {
    mode = var.tracing ? "Active" : "PassThrough"
  }
}

resource "aws_lambda_function" "sweep" {
  role                           = aws_iam_role.this["sweep"].arn
  memory_size                    = var.functions["sweep"].memory_mb
  timeout                        = var.functions["sweep"].timeout_seconds
  reserved_concurrent_executions = var.functions["sweep"].reserved_concurrency

  environment {
    variables = local.session_environment
  }

  logging_config {
    log_format = "Text"
    log_group  = aws_cloudwatch_log_group.this["sweep"].name
  }

  tracing_config {
    mode = var.tracing ? "Active" : "PassThrough"
  }
}

resource "aws_cloudwatch_event_rule" "sweep-event" {
  name        = "${local.prefix}-sweep-event"
  description = "Repairs, once a minute, state in stage ${var.stage} that no event has cleaned up."
}

resource "aws_apigatewayv2_route" "websocket_connect_route" {
  authorization_type = "CUSTOM"
  authorizer_id      = aws_apigatewayv2_authorizer.this.id
}

resource "aws_apigatewayv2_route" "websocket_message_route" {
  route_response_selection_expression = "$default"
}

resource "aws_apigatewayv2_deployment" "websocket_api_deployment" {
  triggers = {
    redeployment = sha256(jsonencode(local.deployed))
  }

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_apigatewayv2_stage" "websocket_api_stage" {
  name = var.stage

  # Both limits are required. The provider replaces a missing one with 0, and API Gateway would then
  # refuse every connect with status 429.
  # Source: hashicorp/terraform-provider-aws issues 14742, 27674.
  default_route_settings {
    throttling_rate_limit  = var.throttling.rate
    throttling_burst_limit = var.throttling.burst
  }

  # API Gateway logs only the fields in this format. It contains no query strings, because they can
  # contain tokens.
  dynamic "access_log_settings" {
    for_each = aws_cloudwatch_log_group.access

    content {
      destination_arn = access_log_settings.value.arn
      format = jsonencode({
        time             = "$context.requestTime"
        requestId        = "$context.requestId"
        eventType        = "$context.eventType"
        routeKey         = "$context.routeKey"
        status           = "$context.status"
        authorizerStatus = "$context.authorizer.status"
        authorizerError  = "$context.authorizer.error"
        integrationError = "$context.integration.error"
        error            = "$context.error.message"
      })
    }
  }
}
