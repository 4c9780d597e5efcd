output "bucket" {
  description = "The name of the bucket."
  value       = aws_s3_bucket.this.id
}

output "arn" {
  description = "The ARN of the bucket."
  value       = aws_s3_bucket.this.arn
}

output "url" {
  description = "The base URL of the audio, without a slash at the end."
  value       = "https://${aws_cloudfront_distribution.this.domain_name}"
}
