# The SNS topic and the alarms for AWS's metrics of a stage. application.tf contains the alarms for the
# application's own metrics. Each alarm refers to an entry of the runbook.

data "aws_caller_identity" "this" {}
data "aws_partition" "this" {}

# The topic is intentionally not encrypted with a KMS key. CloudWatch can't publish to a topic that is
# encrypted with alias/aws/sns, whose policy can't be changed, and alarms would be lost silently. A
# customer managed key costs a dollar per month and stage, and would only protect an alarm's name and
# value.
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

    # Without this condition, alarms of any account could publish.
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

  # The number of errors in 5 minutes that is still normal. Clients that are refused because of a full
  # session or an expired token count as errors, too.
  errors_at_most = 10

  # A sweep runs once a minute, so it can't fail more than 5 times in 5 minutes.
  function_errors_at_most = { for name in keys(var.functions) : name => name == "sweep" ? 2 : local.errors_at_most }

  # The share of a function's timeout at which the alarm triggers. A call that exceeds the timeout is
  # stopped, and its client gets no response.
  duration_share = 0.8

  # The DynamoDB operations that the application uses. DynamoDB measures latency by operation.
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
        description = "The function ${name} failed more than ${local.function_errors_at_most[name]} times in 5 minutes. The events of these invocations weren't handled."
      }
      "${name}-throttles" = {
        namespace   = "AWS/Lambda"
        metric      = "Throttles"
        dimensions  = { FunctionName = function.name }
        statistic   = "Sum"
        threshold   = 0
        entry       = "a-function-is-throttled"
        description = "Lambda throttled the function ${name}. The account's concurrency or the function's reserved concurrency is used up."
      }
      "${name}-duration" = {
        namespace  = "AWS/Lambda"
        metric     = "Duration"
        dimensions = { FunctionName = function.name }
        # The maximum, because a p99 hides five slow requests out of 500.
        statistic   = "Maximum"
        threshold   = local.duration_share * function.timeout_seconds * 1000
        entry       = "a-function-takes-too-long"
        description = "An invocation of the function ${name} took more than ${local.duration_share * 100}% of its timeout of ${function.timeout_seconds} s. A slower one is stopped before it finishes."
      }
    }
  ]...)

  # Metrics by API and stage. Metrics by route require detailed metrics, which cost extra.
  # Source: API Gateway developer guide, "Monitor WebSocket API execution with CloudWatch metrics".
  api_alarms = {
    for name, alarm in {
      integration-errors = {
        metric      = "IntegrationError"
        entry       = "functions-refuse-clients"
        description = "Functions returned a 4xx or 5xx status for more than ${local.errors_at_most} connects or messages in 5 minutes. Clients are refused, or their commands fail."
      }
      client-errors = {
        metric      = "ClientError"
        entry       = "the-api-refuses-clients"
        description = "API Gateway returned a 4xx status for more than ${local.errors_at_most} requests in 5 minutes. The authorizer or a function refuses clients, or the API throttles them."
      }
      execution-errors = {
        metric      = "ExecutionError"
        entry       = "the-api-cannot-call-a-function"
        description = "API Gateway failed to invoke a function or the authorizer more than ${local.errors_at_most} times in 5 minutes. Clients get a 5xx status."
      }
      } : "api-${name}" => {
      namespace   = "AWS/ApiGateway"
      metric      = alarm.metric
      dimensions  = { ApiId = var.api_id, Stage = var.stage }
      statistic   = "Sum"
      threshold   = local.errors_at_most
      entry       = alarm.entry
      description = alarm.description
    }
  }

  # DynamoDB writes these metrics by table and operation, and only if the value isn't 0. A Metrics
  # Insights query adds up the metrics that exist when the alarm is evaluated, so some of them can be
  # missing. Metric math would have to list each metric, and AWS doesn't document whether FILL creates
  # values for a metric without any.
  # Source: "Create a CloudWatch alarm based on a Metrics Insights query", Amazon CloudWatch User Guide.
  table_alarms = merge([
    for name, table in var.tables : {
      "table-${name}-throttles" = {
        metric      = "ThrottledRequests"
        table       = table
        entry       = "a-table-is-throttled"
        description = "DynamoDB throttled requests to the table ${name}. The load is too high for the table or for one of its keys."
      }
      "table-${name}-system-errors" = {
        metric      = "SystemErrors"
        table       = table
        entry       = "a-table-fails"
        description = "DynamoDB returned 5xx errors for the table ${name}. Check the AWS Health Dashboard."
      }
    }
  ]...)

  # One alarm for each failure that affects clients. The other alarms locate the cause of a failure,
  # which the dashboard also shows, or warn before one happens.
  essential = [
    "api-execution-errors",
    "api-integration-errors",
    "circuit-open",
    "connection-errors",
    "fan-out-failures",
    "pipeline-failures",
    "refresh-failures",
    "sweep-errors",
    "sweep-stopped",
    "translation-failures",
  ]

  alarms = merge(local.function_alarms, local.api_alarms, local.application_alarms)
  selected = {
    none      = []
    essential = local.essential
    all       = concat(["fan-out-failures"], keys(local.alarms), keys(local.table_alarms))
  }[var.level]
}

# periods, comparison and missing_data are optional. With missing_data = "missing", the alarm goes to
# INSUFFICIENT_DATA if there is no data, which is also the initial state of every alarm.
resource "aws_cloudwatch_metric_alarm" "this" {
  for_each = { for name, alarm in local.alarms : name => alarm if contains(local.selected, name) }

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
  treat_missing_data        = lookup(each.value, "missing_data", "notBreaching")
  alarm_actions             = [aws_sns_topic.this.arn]
  ok_actions                = [aws_sns_topic.this.arn]
  insufficient_data_actions = lookup(each.value, "missing_data", "notBreaching") == "missing" ? [aws_sns_topic.this.arn] : null
}

resource "aws_cloudwatch_metric_alarm" "table" {
  for_each = { for name, alarm in local.table_alarms : name => alarm if contains(local.selected, name) }

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
