# What Chalice's API lacks as the variant two_way: the authorizer and the route response.

resource "aws_apigatewayv2_authorizer" "two_way" {
  api_id          = aws_apigatewayv2_api.websocket_api.id
  name            = "authorizer"
  authorizer_type = "REQUEST"
  authorizer_uri  = aws_lambda_function.authorizer.invoke_arn

  # Authorizers of WebSocket APIs have neither attribute, but ministack 1.5.33 returns both.
  lifecycle {
    ignore_changes = [authorizer_payload_format_version, jwt_configuration]
  }
}

resource "aws_lambda_permission" "two_way_authorizer" {
  function_name = aws_lambda_function.authorizer.function_name
  action        = "lambda:InvokeFunction"
  principal     = "apigateway.amazonaws.com"
  source_arn    = "${aws_apigatewayv2_api.websocket_api.execution_arn}/authorizers/${aws_apigatewayv2_authorizer.two_way.id}"
}

resource "aws_apigatewayv2_route_response" "two_way" {
  api_id             = aws_apigatewayv2_api.websocket_api.id
  route_id           = aws_apigatewayv2_route.websocket_message_route.id
  route_response_key = "$default"
}
