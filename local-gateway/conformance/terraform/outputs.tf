output "api_ids" {
  description = "The IDs of the APIs, by variant."
  value = merge(
    { two_way = aws_apigatewayv2_api.websocket_api.id },
    { for name, variant in module.variant : name => variant.api_id },
  )
}

output "records_table" {
  description = "The name of the table of records."
  value       = aws_dynamodb_table.records.name
}

output "stage" {
  description = "The name of each API's stage."
  value       = var.stage

  # A client that connects earlier could find an API that isn't deployed or may not invoke.
  depends_on = [
    aws_apigatewayv2_stage.websocket_api_stage,
    aws_iam_role_policy.this,
    aws_lambda_permission.two_way_authorizer,
    module.variant,
  ]
}
