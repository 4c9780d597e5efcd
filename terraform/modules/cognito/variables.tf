variable "name" {
  description = "The name of the user pool and of its app client."
  type        = string
}

variable "existing" {
  description = "An existing user pool and app client. null creates both."
  type = object({
    user_pool_id = string
    client_id    = string
  })
}

variable "self_sign_up" {
  description = "Whether users can sign up as speakers. If false, only administrators create users."
  type        = bool
}

variable "mfa" {
  description = "Multi-factor authentication of speakers by authenticator app: OFF, OPTIONAL or ON."
  type        = string
}

variable "token_minutes" {
  description = "The lifetime of ID and access tokens, in minutes."
  type        = number
}

variable "refresh_token_days" {
  description = "The lifetime of refresh tokens, in days."
  type        = number
}

variable "password_minimum_length" {
  description = "The minimum length of speakers' passwords."
  type        = number
}

variable "deletion_protection" {
  description = "Whether to protect the user pool, with all speakers' accounts, from deletion."
  type        = bool
}

variable "sign_in_page" {
  description = "The first label of the domain of Cognito's sign-in page, and the URLs to which it redirects after sign-in and sign-out. null creates no page."
  type = object({
    domain_prefix = string
    callback_urls = set(string)
    logout_urls   = set(string)
  })
}

variable "region" {
  description = "The region, which is part of the sign-in page's domain."
  type        = string
}
