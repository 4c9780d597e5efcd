# What AWS itself measures of a stage: whom it tells and of what. The application's own metrics have
# their place in application.tf. What to do about an alarm is in the entry of the runbook that it names.

data "aws_caller_identity" "this" {}
data "aws_partition" "this" {}

# Without a key of KMS, knowingly. CloudWatch cannot publish to a topic that is encrypted by
# alias/aws/sns, whose policy nobody can change: its alarms would go nowhere, without a word. A key
# of one's own costs a dollar a month and stage, to hide an alarm's name and a figure.
# Source: repost.aws/knowledge-center/cloudwatch-configure-alarm-sns.
resource "aws_sns_topic" "this" {
  name = "${var.name_prefix}-alarms"
}

data "aws_iam_policy_document" "topic" {
  statement {
    sid       = "AlarmsOfThisStage"
    actions   = ["sns:Publish"]
    resources = [aws_sns_topic.this.arn]

    principals {
      type        = "Service"
      identifiers = ["cloudwatch.amazonaws.com"]
    }

    # Else an alarm of any account could publish.
    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [data.aws_caller_identity.this.account_id]
    }

    condition {
      test     = "ArnLike"
      variable = "aws:SourceArn"
      values   = ["arn:${data.aws_partition.this.partition}:cloudwatch:${var.region}:${data.aws_caller_identity.this.account_id}:alarm:${var.name_prefix}-*"]
    }
  }
}

resource "aws_sns_topic_policy" "this" {
  arn    = aws_sns_topic.this.arn
  policy = data.aws_iam_policy_document.topic.json
}

resource "aws_sns_topic_subscription" "this" {
  for_each = var.emails

  topic_arn = aws_sns_topic.this.arn
  protocol  = "email"
  endpoint  = each.key
}

locals {
  runbook        = "What to do: docs/how-to/respond-to-alarms.md"
  period_seconds = 300

  # More than so many in 5 minutes are no accident: a hall's phones that are refused for a full
  # session, or for a token that has expired, count here too.
  errors_at_most = 10

  # A sweep runs once a minute, so it cannot fail more than 5 times in 5 minutes.
  function_errors_at_most = { for name in keys(var.functions) : name => name == "sweep" ? 2 : local.errors_at_most }

  # Of a function's timeout; the next slow call is cut off, and its client hears nothing.
  duration_share = 0.8

  # What the application asks of DynamoDB, which measures latency by operation.
  table_operations = ["BatchGetItem", "DeleteItem", "GetItem", "PutItem", "Query", "Scan", "TransactWriteItems", "UpdateItem"]

  function_alarms = merge([
    for name, function in var.functions : {
      "${name}-errors" = {
        namespace   = "AWS/Lambda"
        metric      = "Errors"
        dimensions  = { FunctionName = function.name }
        statistic   = "Sum"
        threshold   = local.function_errors_at_most[name]
        entry       = "a-function-fails"
        description = "The function ${name} has failed more than ${local.function_errors_at_most[name]} times in 5 minutes: what it was called for was not done."
      }
      "${name}-throttles" = {
        namespace   = "AWS/Lambda"
        metric      = "Throttles"
        dimensions  = { FunctionName = function.name }
        statistic   = "Sum"
        threshold   = 0
        entry       = "a-function-is-throttled"
        description = "Lambda has refused to run the function ${name}: the account's concurrency, or what is reserved for it, is used up."
      }
      "${name}-duration" = {
        namespace  = "AWS/Lambda"
        metric     = "Duration"
        dimensions = { FunctionName = function.name }
        # Not a percentile: p99 would not show five listeners out of a hall of 500.
        statistic   = "Maximum"
        threshold   = local.duration_share * function.timeout_seconds * 1000
        entry       = "a-function-takes-too-long"
        description = "A call of the function ${name} took more than ${local.duration_share * 100} % of the ${function.timeout_seconds} s that it has: the next may be cut off."
      }
    }
  ]...)

  # By API and stage: a route's own metrics cost extra and need detailed metrics.
  # Source: API Gateway developer guide, "Monitor WebSocket API execution with CloudWatch metrics".
  api_alarms = {
    for name, alarm in {
      integration-errors = {
        metric  = "IntegrationError"
        entry   = "functions-refuse-clients"
        meaning = "functions have answered more than ${local.errors_at_most} connects or messages in 5 minutes with a 4xx or 5xx: clients are refused or their commands fail."
      }
      client-errors = {
        metric  = "ClientError"
        entry   = "the-api-refuses-clients"
        meaning = "API Gateway has answered more than ${local.errors_at_most} requests in 5 minutes with a 4xx: the authorizer or a function refuses clients, or they are too many."
      }
      execution-errors = {
        metric  = "ExecutionError"
        entry   = "the-api-cannot-call-a-function"
        meaning = "API Gateway could not call a function, or its authorizer, more than ${local.errors_at_most} times in 5 minutes: clients get a 5xx."
      }
      } : "api-${name}" => {
      namespace   = "AWS/ApiGateway"
      metric      = alarm.metric
      dimensions  = { ApiId = var.api_id, Stage = var.stage }
      statistic   = "Sum"
      threshold   = local.errors_at_most
      entry       = alarm.entry
      description = "At the API, ${alarm.meaning}"
    }
  }

  # DynamoDB writes these metrics by table and operation, and only when there is something to count.
  # A Metrics Insights query adds up those that exist when the alarm is evaluated, so it doesn't
  # matter which of them have never been written. Metric math has to name each one, and no page says
  # that FILL makes values for a metric without any.
  # Source: "Create a CloudWatch alarm based on a Metrics Insights query", Amazon CloudWatch User Guide.
  table_alarms = merge([
    for name, table in var.tables : {
      "table-${name}-throttles" = {
        metric      = "ThrottledRequests"
        table       = table
        entry       = "a-table-is-throttled"
        description = "DynamoDB has throttled requests to the table ${name}: it gets more than it takes, or too much on one key."
      }
      "table-${name}-system-errors" = {
        metric      = "SystemErrors"
        table       = table
        entry       = "a-table-fails"
        description = "DynamoDB has failed requests to the table ${name} with a 5xx of its own: look at the AWS Health Dashboard."
      }
    }
  ]...)

  # Failures that clients feel, each by one metric. The others say where a failure comes from, which
  # the dashboard shows too, or that one is near.
  essential = [
    "api-execution-errors",
    "api-integration-errors",
    "circuit-open",
    "connection-errors",
    "fan-out-failures",
    "refresh-failures",
    "sweep-errors",
    "sweep-stopped",
  ]

  alarms = merge(local.function_alarms, local.api_alarms, local.application_alarms)
  made = {
    none      = []
    essential = local.essential
    all       = concat(["fan-out-failures"], keys(local.alarms), keys(local.table_alarms))
  }[var.level]
}

# An alarm may say of itself how many periods in a row it takes, how it compares, and what a gap is.
# A gap that is "missing" makes the alarm INSUFFICIENT_DATA, the state in which alarms are created.
resource "aws_cloudwatch_metric_alarm" "this" {
  for_each = { for name, alarm in local.alarms : name => alarm if contains(local.made, name) }

  alarm_name                = "${var.name_prefix}-${each.key}"
  alarm_description         = "${each.value.description} ${local.runbook}#${each.value.entry}"
  namespace                 = each.value.namespace
  metric_name               = each.value.metric
  dimensions                = each.value.dimensions
  statistic                 = startswith(each.value.statistic, "p") ? null : each.value.statistic
  extended_statistic        = startswith(each.value.statistic, "p") ? each.value.statistic : null
  period                    = local.period_seconds
  evaluation_periods        = lookup(each.value, "periods", 1)
  comparison_operator       = lookup(each.value, "comparison", "GreaterThanThreshold")
  threshold                 = each.value.threshold
  treat_missing_data        = lookup(each.value, "gap", "notBreaching")
  alarm_actions             = [aws_sns_topic.this.arn]
  ok_actions                = [aws_sns_topic.this.arn]
  insufficient_data_actions = lookup(each.value, "gap", "notBreaching") == "missing" ? [aws_sns_topic.this.arn] : null
}

resource "aws_cloudwatch_metric_alarm" "table" {
  for_each = { for name, alarm in local.table_alarms : name => alarm if contains(local.made, name) }

  alarm_name          = "${var.name_prefix}-${each.key}"
  alarm_description   = "${each.value.description} ${local.runbook}#${each.value.entry}"
  evaluation_periods  = 1
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  treat_missing_data  = "notBreaching"
  alarm_actions       = [aws_sns_topic.this.arn]
  ok_actions          = [aws_sns_topic.this.arn]

  metric_query {
    id          = "total"
    label       = each.key
    expression  = "SELECT SUM(${each.value.metric}) FROM SCHEMA(\"AWS/DynamoDB\", TableName, Operation) WHERE TableName = '${each.value.table}'"
    period      = local.period_seconds
    return_data = true
  }
}
