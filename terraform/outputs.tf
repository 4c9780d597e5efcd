output "url" {
  description = "The WebSocket URL for clients."
  value       = module.app.url
}

output "api_id" {
  description = "The WebSocket API's ID."
  value       = module.app.api_id
}

output "publish_function_name" {
  description = "The name of the function that publishes captions."
  value       = module.app.publish.name
}

output "publish_function_arn" {
  description = "The ARN of the function that publishes captions."
  value       = module.app.publish.arn
}

output "pipeline_function" {
  description = "The function that receives the events of the pipeline, by name or ARN. Empty if none does."
  value       = module.app.pipeline_function
}

output "media_url" {
  description = "The base URL of the audio of captions. null if speech is off."
  value       = one(module.media[*].url)
}

output "table_names" {
  description = "The table names, keyed by their names in the schema."
  value       = { for name, table in module.dynamodb.tables : name => table.name }
}

output "user_pool_id" {
  description = "The ID of the user pool that speakers sign in to."
  value       = module.cognito.user_pool_id
}

output "client_id" {
  description = "The ID of the app client that the speaker page uses to sign in."
  value       = module.cognito.client_id
}

output "sign_in_url" {
  description = "The base URL of Cognito's sign-in page. null if the stack has no sign-in page."
  value       = module.cognito.sign_in_url
}

output "alarm_topic_arn" {
  description = "The ARN of the SNS topic for alarms."
  value       = module.alarms.topic_arn
}

output "domain_target" {
  description = "The target for the DNS record of your custom domain. null if the stack has none."
  value       = module.app.domain_target
}
