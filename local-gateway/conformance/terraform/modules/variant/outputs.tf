output "api_id" {
  description = "The API's ID."
  value       = aws_apigatewayv2_api.this.id
}

output "execution_arn" {
  description = "The ARN of the API, for permissions."
  value       = aws_apigatewayv2_api.this.execution_arn
}
