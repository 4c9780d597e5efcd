# The configuration that a deployment is a snapshot of. A change takes effect only with a new
# deployment.
# Source: "Deploy WebSocket APIs", Amazon API Gateway Developer Guide.
locals {
  integrations = [
    aws_apigatewayv2_integration.websocket_connect_api_integration,
    aws_apigatewayv2_integration.websocket_disconnect_api_integration,
    aws_apigatewayv2_integration.websocket_message_api_integration,
  ]

  routes = [
    aws_apigatewayv2_route.websocket_connect_route,
    aws_apigatewayv2_route.websocket_disconnect_route,
    aws_apigatewayv2_route.websocket_message_route,
  ]

  deployed = {
    authorizer = [
      aws_apigatewayv2_authorizer.this.authorizer_type,
      aws_apigatewayv2_authorizer.this.authorizer_uri,
      # The provider writes null and reads back an empty list.
      aws_apigatewayv2_authorizer.this.identity_sources == null ? [] : aws_apigatewayv2_authorizer.this.identity_sources,
    ]
    integrations = [for it in local.integrations : [it.integration_type, it.integration_uri]]
    routes = [
      for route in local.routes : [
        for value in [
          route.route_key,
          route.target,
          route.authorization_type,
          route.authorizer_id,
          route.api_key_required,
          route.route_response_selection_expression,
        ] : value == null ? "" : value
      ]
    ]
    route_responses = [
      aws_apigatewayv2_route_response.message.route_id,
      aws_apigatewayv2_route_response.message.route_response_key,
    ]
  }
}

# The authorizer of $connect. It has no identity sources, because API Gateway would refuse listeners,
# which have no token, with status 401. WebSocket APIs don't support caching of results.
resource "aws_apigatewayv2_authorizer" "this" {
  api_id          = aws_apigatewayv2_api.websocket_api.id
  name            = "${local.prefix}-authorizer"
  authorizer_type = "REQUEST"
  authorizer_uri  = aws_lambda_function.authorizer.invoke_arn

  # Authorizers of WebSocket APIs have neither attribute, but ministack 1.5.33 returns both.
  lifecycle {
    ignore_changes = [authorizer_payload_format_version, jwt_configuration]
  }
}

resource "aws_lambda_permission" "authorizer" {
  function_name = aws_lambda_function.authorizer.function_name
  action        = "lambda:InvokeFunction"
  principal     = "apigateway.amazonaws.com"
  source_arn    = "${local.execution_arn}/authorizers/${aws_apigatewayv2_authorizer.this.id}"
}

# Without a route response, API Gateway discards the function's replies to frames.
resource "aws_apigatewayv2_route_response" "message" {
  api_id             = aws_apigatewayv2_api.websocket_api.id
  route_id           = aws_apigatewayv2_route.websocket_message_route.id
  route_response_key = "$default"
}

resource "aws_apigatewayv2_domain_name" "this" {
  count = var.domain == null ? 0 : 1

  domain_name = var.domain.name

  domain_name_configuration {
    certificate_arn = var.domain.certificate_arn
    endpoint_type   = "REGIONAL"
    security_policy = "TLS_1_2"
  }
}

resource "aws_apigatewayv2_api_mapping" "this" {
  count = var.domain == null ? 0 : 1

  api_id      = aws_apigatewayv2_api.websocket_api.id
  domain_name = aws_apigatewayv2_domain_name.this[0].id
  stage       = aws_apigatewayv2_stage.websocket_api_stage.id
}
