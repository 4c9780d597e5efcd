# A WebSocket API with some routes to given functions.

locals {
  has_authorizer = var.identity_sources != null
}

resource "aws_apigatewayv2_api" "this" {
  name                       = var.name
  protocol_type              = "WEBSOCKET"
  route_selection_expression = "$request.body.action"
}

resource "aws_apigatewayv2_integration" "this" {
  for_each = var.routes

  api_id                    = aws_apigatewayv2_api.this.id
  integration_type          = "AWS_PROXY"
  integration_uri           = each.value.invoke_arn
  content_handling_strategy = "CONVERT_TO_TEXT"
}

resource "aws_apigatewayv2_route" "this" {
  for_each = var.routes

  api_id                              = aws_apigatewayv2_api.this.id
  route_key                           = each.key
  target                              = "integrations/${aws_apigatewayv2_integration.this[each.key].id}"
  authorization_type                  = each.key == "$connect" && local.has_authorizer ? "CUSTOM" : "NONE"
  authorizer_id                       = each.key == "$connect" && local.has_authorizer ? aws_apigatewayv2_authorizer.this[0].id : null
  route_response_selection_expression = each.key == "$default" && var.has_route_response ? "$default" : null
}

resource "aws_lambda_permission" "route" {
  for_each = { for key, function in var.routes : key => function if var.is_permitted }

  function_name = each.value.function_name
  action        = "lambda:InvokeFunction"
  principal     = "apigateway.amazonaws.com"
  source_arn    = "${aws_apigatewayv2_api.this.execution_arn}/*/${each.key}"
}

resource "aws_apigatewayv2_route_response" "this" {
  count = var.has_route_response ? 1 : 0

  api_id             = aws_apigatewayv2_api.this.id
  route_id           = aws_apigatewayv2_route.this["$default"].id
  route_response_key = "$default"
}

resource "aws_apigatewayv2_authorizer" "this" {
  count = local.has_authorizer ? 1 : 0

  api_id           = aws_apigatewayv2_api.this.id
  name             = "authorizer"
  authorizer_type  = "REQUEST"
  authorizer_uri   = var.authorizer.invoke_arn
  identity_sources = var.identity_sources

  # Authorizers of WebSocket APIs have neither attribute, but ministack 1.5.33 returns both.
  lifecycle {
    ignore_changes = [authorizer_payload_format_version, jwt_configuration]
  }
}

resource "aws_lambda_permission" "authorizer" {
  count = local.has_authorizer ? 1 : 0

  function_name = var.authorizer.function_name
  action        = "lambda:InvokeFunction"
  principal     = "apigateway.amazonaws.com"
  source_arn    = "${aws_apigatewayv2_api.this.execution_arn}/authorizers/${aws_apigatewayv2_authorizer.this[0].id}"
}

resource "aws_apigatewayv2_deployment" "this" {
  api_id = aws_apigatewayv2_api.this.id

  triggers = {
    redeployment = sha256(jsonencode([
      [for route in aws_apigatewayv2_route.this : [route.id, route.target]],
      aws_apigatewayv2_route_response.this[*].id,
      aws_apigatewayv2_authorizer.this[*].id,
    ]))
  }

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_apigatewayv2_stage" "this" {
  api_id        = aws_apigatewayv2_api.this.id
  deployment_id = aws_apigatewayv2_deployment.this.id
  name          = var.stage

  # Both limits are required; see the root's chalice_override.tf.
  default_route_settings {
    throttling_rate_limit  = var.throttling.rate
    throttling_burst_limit = var.throttling.burst
  }
}
