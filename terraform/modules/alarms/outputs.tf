output "topic_arn" {
  description = "The ARN of the SNS topic for alarms."
  value       = aws_sns_topic.this.arn
}
