# Terraform merges this file into chalice.tf.json, in which Chalice 1.34
# - requires Terraform below 1.4 and an AWS provider below 5,
# - adds no authorizer to $connect and no response to any route, and
# - creates a deployment that never changes.
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
  role = aws_iam_role.this["authorizer"].arn

  environment {
    variables = local.environment
  }
}

resource "aws_lambda_function" "child" {
  role = aws_iam_role.this["child"].arn

  environment {
    variables = local.environment
  }
}

resource "aws_lambda_function" "websocket_connect" {
  role = aws_iam_role.this["connect"].arn

  environment {
    variables = local.environment
  }
}

resource "aws_lambda_function" "websocket_message" {
  role = aws_iam_role.this["message"].arn

  environment {
    variables = local.environment
  }
}

resource "aws_lambda_function" "websocket_disconnect" {
  role = aws_iam_role.this["disconnect"].arn

  environment {
    variables = local.environment
  }
}

resource "aws_apigatewayv2_route" "websocket_connect_route" {
  authorization_type = "CUSTOM"
  authorizer_id      = aws_apigatewayv2_authorizer.two_way.id
}

resource "aws_apigatewayv2_route" "websocket_message_route" {
  route_response_selection_expression = "$default"
}

resource "aws_apigatewayv2_deployment" "websocket_api_deployment" {
  triggers = {
    redeployment = sha256(jsonencode([
      aws_apigatewayv2_authorizer.two_way.id,
      aws_apigatewayv2_route_response.two_way.id,
      aws_apigatewayv2_route.websocket_connect_route.target,
      aws_apigatewayv2_route.websocket_message_route.target,
      aws_apigatewayv2_route.websocket_disconnect_route.target,
    ]))
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
}
