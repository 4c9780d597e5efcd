variable "name_prefix" {
  description = "The prefix for the names of the bucket and of CloudFront's policies."
  type        = string
}

variable "origins" {
  description = "The origins of the pages whose scripts can read the audio, or * for any."
  type        = set(string)
}
