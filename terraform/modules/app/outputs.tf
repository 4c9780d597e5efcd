output "url" {
  description = "The WebSocket URL."
  value       = var.domain == null ? aws_apigatewayv2_stage.websocket_api_stage.invoke_url : "wss://${var.domain.name}"
}

output "api_id" {
  description = "The WebSocket API's ID."
  value       = aws_apigatewayv2_api.websocket_api.id
}

output "functions" {
  description = "The deployed names of the functions, keyed by their names in app.py."
  value       = { for name, function in local.functions : name => function.function_name }
}

output "pipeline_function" {
  description = "The function that receives the events of the pipeline, by name or ARN. Empty if none does."
  value       = local.pipeline_function
}

output "publish" {
  description = "The deployed name and the ARN of the function publish."
  value       = { name = aws_lambda_function.publish.function_name, arn = aws_lambda_function.publish.arn }
}

output "log_groups" {
  description = "The log groups of the functions, keyed by their names in app.py."
  value       = { for name, group in aws_cloudwatch_log_group.this : name => group.name }
}

output "domain_target" {
  description = "The target for the DNS record of the custom domain. null if there is none."
  value       = var.domain == null ? null : aws_apigatewayv2_domain_name.this[0].domain_name_configuration[0].target_domain_name
}
