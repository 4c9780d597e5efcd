variable "name" {
  description = "The name of the user pool and of its app client."
  type        = string
}

variable "existing" {
  description = "A user pool and an app client that are there already; null makes both."
  type = object({
    user_pool_id = string
    client_id    = string
  })
}

variable "self_sign_up" {
  description = "Whether anybody may make himself a speaker; else an administrator does."
  type        = bool
}

variable "mfa" {
  description = "Whether speakers need a second factor (an authenticator app): OFF, OPTIONAL or ON."
  type        = string
}

variable "token_minutes" {
  description = "How long ID and access tokens live, in minutes."
  type        = number
}

variable "refresh_token_days" {
  description = "How long a speaker stays signed in, in days."
  type        = number
}

variable "password_minimum_length" {
  description = "The shortest password that a speaker may choose."
  type        = number
}

variable "deletion_protection" {
  description = "Whether the pool, and with it every speaker's account, is protected from deletion."
  type        = bool
}

variable "sign_in_page" {
  description = "The first label of the domain of Cognito's sign-in page, and the URLs to which it returns after a sign-in and a sign-out; null makes no page."
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
