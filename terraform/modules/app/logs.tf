# The log groups must exist before a function's first invocation. Otherwise Lambda creates them without
# retention.
resource "aws_cloudwatch_log_group" "this" {
  for_each = toset(keys(local.permissions))

  name              = "/aws/lambda/${local.prefix}-${each.key}"
  retention_in_days = var.log_retention_days
}

resource "aws_cloudwatch_log_group" "access" {
  count = var.access_logs ? 1 : 0

  name              = "/aws/apigateway/${local.prefix}"
  retention_in_days = var.log_retention_days
}
