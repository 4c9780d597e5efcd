output "url" {
  description = "The WebSocket URL for clients."
  value       = module.app.url
}

output "api_id" {
  description = "The WebSocket API's id."
  value       = module.app.api_id
}

output "table_names" {
  description = "The tables' names, by their names in the schema."
  value       = { for name, table in module.dynamodb.tables : name => table.name }
}

output "user_pool_id" {
  description = "The user pool whose speakers may speak."
  value       = module.cognito.user_pool_id
}

output "client_id" {
  description = "The app client that the speakers' page signs in with."
  value       = module.cognito.client_id
}

output "sign_in_url" {
  description = "The base URL of Cognito's sign-in page; null without one."
  value       = module.cognito.sign_in_url
}

output "alarm_topic_arn" {
  description = "The SNS topic of the alarms."
  value       = module.alarms.topic_arn
}

output "domain_target" {
  description = "What the DNS record of one's own domain has to point at; null without one."
  value       = module.app.domain_target
}
