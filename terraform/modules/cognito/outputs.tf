output "user_pool_id" {
  description = "The ID of the user pool whose tokens are accepted."
  value       = var.existing == null ? aws_cognito_user_pool.this[0].id : var.existing.user_pool_id
}

output "client_id" {
  description = "The ID of the app client whose tokens are accepted."
  value       = var.existing == null ? aws_cognito_user_pool_client.this[0].id : var.existing.client_id
}

output "sign_in_url" {
  description = "The base URL of Cognito's sign-in page. null if there is none."
  value       = one([for domain in aws_cognito_user_pool_domain.this[*].domain : "https://${domain}.${local.page_domain}"])
}
