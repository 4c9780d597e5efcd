# The alarms, their recipients, the dashboard and the saved queries.
#
#   terraform test -filter=tests/alarms.tftest.hcl

mock_provider "aws" {
  source          = "./tests/aws"
  override_during = plan
}

variables {
  name_prefix         = "broadcast-sessions-dev"
  region              = "us-east-1"
  level               = "all"
  emails              = ["one@example.com", "two@example.com"]
  stage               = "dev"
  max_active_sessions = 50
  saved_queries       = true
  api_id              = "a1b2c3d4e5"
  tables              = { sessions = "broadcast-sessions-dev-sessions" }
  functions = {
    connect = { name = "broadcast-sessions-dev-websocket_connect", timeout_seconds = 20, log_group = "/aws/lambda/broadcast-sessions-dev-connect" }
    sweep   = { name = "broadcast-sessions-dev-sweep", timeout_seconds = 150, log_group = "/aws/lambda/broadcast-sessions-dev-sweep" }
  }
}

run "topic" {
  command = plan

  module {
    source = "./modules/alarms"
  }

  assert {
    condition     = aws_sns_topic.this.kms_master_key_id != "alias/aws/sns"
    error_message = "CloudWatch can't publish to a topic that is encrypted with the key alias/aws/sns."
  }

  assert {
    condition     = toset([for subscription in aws_sns_topic_subscription.this : subscription.endpoint]) == var.emails
    error_message = "The topic's subscriptions differ from the email addresses."
  }

  assert {
    condition = alltrue(flatten([
      for statement in data.aws_iam_policy_document.topic.statement : [
        [for principal in statement.principals : toset(principal.identifiers) == toset(["cloudwatch.amazonaws.com"])],
        toset(statement.actions) == toset(["sns:Publish"]),
        anytrue([
          for condition in statement.condition :
          condition.variable == "aws:SourceAccount" && toset(condition.values) == toset(["123456789012"])
        ]),
      ]
    ]))
    error_message = "Only CloudWatch alarms of this account should be able to publish."
  }
}

run "no_recipients" {
  command = plan

  module {
    source = "./modules/alarms"
  }

  variables {
    emails = []
  }

  assert {
    condition     = length(aws_sns_topic_subscription.this) == 0
    error_message = "The topic has a subscription although there are no email addresses."
  }
}

run "alarms" {
  command = plan

  module {
    source = "./modules/alarms"
  }

  assert {
    condition = toset([for alarm in concat(values(aws_cloudwatch_metric_alarm.this), values(aws_cloudwatch_metric_alarm.table), aws_cloudwatch_metric_alarm.fan_out) : trimprefix(alarm.alarm_name, "broadcast-sessions-dev-")]) == toset([
      "active-sessions",
      "api-client-errors",
      "api-execution-errors",
      "api-integration-errors",
      "caption-latency",
      "captions-missed",
      "circuit-open",
      "connect-duration",
      "connect-errors",
      "connect-throttles",
      "connection-errors",
      "fan-out-failures",
      "pipeline-failures",
      "refresh-failures",
      "session-creation-latency",
      "speech-failures",
      "sweep-duration",
      "sweep-errors",
      "sweep-repairs",
      "sweep-stopped",
      "sweep-throttles",
      "table-sessions-system-errors",
      "table-sessions-throttles",
      "translation-failures",
    ])
    error_message = "The set of alarms differs from the expected one."
  }

  assert {
    condition = alltrue([
      for alarm in concat(values(aws_cloudwatch_metric_alarm.this), values(aws_cloudwatch_metric_alarm.table), aws_cloudwatch_metric_alarm.fan_out) :
      startswith(alarm.alarm_name, "broadcast-sessions-dev-") &&
      alarm.alarm_actions == toset([aws_sns_topic.this.arn]) &&
      alarm.ok_actions == toset([aws_sns_topic.this.arn]) &&
      can(regex("^([^.]+\\. )+What to do: docs/how-to/respond-to-alarms\\.md#[a-z-]+$", alarm.alarm_description))
    ])
    error_message = "An alarm lacks the prefix, an action, a meaning, or a link to the runbook."
  }

  assert {
    condition = alltrue([
      for alarm in concat(values(aws_cloudwatch_metric_alarm.this), values(aws_cloudwatch_metric_alarm.table), aws_cloudwatch_metric_alarm.fan_out) :
      (alarm.treat_missing_data == "notBreaching" && startswith(alarm.comparison_operator, "GreaterThan")) ||
      endswith(alarm.alarm_name, "-sweep-stopped")
    ])
    error_message = "An alarm would trigger without traffic."
  }

  assert {
    condition = (
      aws_cloudwatch_metric_alarm.this["connect-errors"].threshold == 10 &&
      aws_cloudwatch_metric_alarm.this["connect-errors"].period * aws_cloudwatch_metric_alarm.this["connect-errors"].evaluation_periods == 300
    )
    error_message = "connect-errors should trigger at more than 10 errors in 5 minutes."
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.this["connect-throttles"].threshold == 0
    error_message = "connect-throttles should trigger at the first throttled invocation."
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.this["connect-duration"].threshold == 16000
    error_message = "connect-duration should trigger at 80% of the timeout, in milliseconds."
  }

  assert {
    condition = alltrue([
      for name in ["api-client-errors", "api-execution-errors", "api-integration-errors"] :
      aws_cloudwatch_metric_alarm.this[name].dimensions == tomap({ ApiId = "a1b2c3d4e5", Stage = "dev" })
    ])
    error_message = "API Gateway's metrics have the dimensions ApiId and Stage."
  }

  # The queries refer to no single metric, which might not exist.
  assert {
    condition = alltrue([
      for alarm in aws_cloudwatch_metric_alarm.table :
      length(alarm.metric_query) == 1 &&
      alltrue([for query in alarm.metric_query : query.return_data == true && query.period == 300 && length(query.metric) == 0])
    ])
    error_message = "An alarm for a table refers to a metric that might not exist."
  }

  assert {
    condition     = one(aws_cloudwatch_metric_alarm.table["table-sessions-throttles"].metric_query).expression == "SELECT SUM(ThrottledRequests) FROM SCHEMA(\"AWS/DynamoDB\", TableName, Operation) WHERE TableName = 'broadcast-sessions-dev-sessions'"
    error_message = "table-sessions-throttles should count the throttled requests of the table."
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.this["sweep-errors"].threshold == 2
    error_message = "The sweep runs 5 times in 5 minutes. A threshold above 4 errors wouldn't detect that all of them fail."
  }
}

run "essential_alarms" {
  command = plan

  module {
    source = "./modules/alarms"
  }

  variables {
    level = "essential"
  }

  assert {
    condition = toset([for alarm in concat(values(aws_cloudwatch_metric_alarm.this), values(aws_cloudwatch_metric_alarm.table), aws_cloudwatch_metric_alarm.fan_out) : trimprefix(alarm.alarm_name, "broadcast-sessions-dev-")]) == toset([
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
    ])
    error_message = "The set of alarms differs from the expected one."
  }

  assert {
    condition     = length(aws_cloudwatch_dashboard.this) == 1
    error_message = "A stage with alarms should have a dashboard."
  }
}

run "no_alarms" {
  command = plan

  module {
    source = "./modules/alarms"
  }

  variables {
    level = "none"
  }

  assert {
    condition     = length(concat(values(aws_cloudwatch_metric_alarm.this), values(aws_cloudwatch_metric_alarm.table), aws_cloudwatch_metric_alarm.fan_out, aws_cloudwatch_dashboard.this)) == 0
    error_message = "A stage without alarms has an alarm or a dashboard."
  }
}

run "application_alarms" {
  command = plan

  module {
    source = "./modules/alarms"
  }

  assert {
    condition = alltrue([
      for name in [
        "active-sessions", "caption-latency", "captions-missed", "circuit-open", "connection-errors", "pipeline-failures",
        "refresh-failures", "session-creation-latency", "speech-failures", "sweep-repairs", "sweep-stopped", "translation-failures",
      ] :
      aws_cloudwatch_metric_alarm.this[name].namespace == "BroadcastSessions" &&
      aws_cloudwatch_metric_alarm.this[name].dimensions == tomap({ Stage = "dev" })
    ])
    error_message = "The application's metrics have the dimension Stage. An alarm with other dimensions gets no data."
  }

  assert {
    condition = (
      aws_cloudwatch_metric_alarm.this["session-creation-latency"].extended_statistic == "p95" &&
      aws_cloudwatch_metric_alarm.this["session-creation-latency"].threshold == 2000 &&
      aws_cloudwatch_metric_alarm.this["session-creation-latency"].period == 300 &&
      aws_cloudwatch_metric_alarm.this["session-creation-latency"].evaluation_periods == 2
    )
    error_message = "session-creation-latency should trigger at a p95 above 2 s in two periods of 5 minutes."
  }

  assert {
    condition = (
      aws_cloudwatch_metric_alarm.this["caption-latency"].metric_name == "CaptionLatency" &&
      aws_cloudwatch_metric_alarm.this["caption-latency"].extended_statistic == "p99" &&
      aws_cloudwatch_metric_alarm.this["caption-latency"].threshold == 500 &&
      aws_cloudwatch_metric_alarm.this["caption-latency"].evaluation_periods == 2
    )
    error_message = "caption-latency should trigger before the posts to 500 listeners run into their limit of 800 ms."
  }

  assert {
    condition = {
      for name in [
        "captions-missed", "circuit-open", "connection-errors", "pipeline-failures", "refresh-failures", "speech-failures",
        "sweep-repairs", "translation-failures",
      ] : name => aws_cloudwatch_metric_alarm.this[name].threshold
      if aws_cloudwatch_metric_alarm.this[name].statistic == "Sum" && aws_cloudwatch_metric_alarm.this[name].evaluation_periods == 1
      } == {
      captions-missed      = 100
      circuit-open         = 0
      connection-errors    = 100
      pipeline-failures    = 2
      refresh-failures     = 5
      speech-failures      = 5
      sweep-repairs        = 20
      translation-failures = 5
    }
    error_message = "The thresholds of the counting alarms differ from the expected ones."
  }

  assert {
    condition = (
      aws_cloudwatch_metric_alarm.this["active-sessions"].threshold == 45 &&
      aws_cloudwatch_metric_alarm.this["active-sessions"].statistic == "Maximum" &&
      aws_cloudwatch_metric_alarm.this["active-sessions"].comparison_operator == "GreaterThanOrEqualToThreshold"
    )
    error_message = "active-sessions should trigger at 90% of max_active_sessions."
  }

  # The number of invocations isn't sufficient, because a sweep that always fails is still invoked.
  assert {
    condition = (
      aws_cloudwatch_metric_alarm.this["sweep-stopped"].metric_name == "SweepRepairs" &&
      aws_cloudwatch_metric_alarm.this["sweep-stopped"].statistic == "SampleCount" &&
      aws_cloudwatch_metric_alarm.this["sweep-stopped"].comparison_operator == "LessThanThreshold" &&
      aws_cloudwatch_metric_alarm.this["sweep-stopped"].threshold == 1 &&
      aws_cloudwatch_metric_alarm.this["sweep-stopped"].treat_missing_data == "missing" &&
      aws_cloudwatch_metric_alarm.this["sweep-stopped"].insufficient_data_actions == toset([aws_sns_topic.this.arn]) &&
      aws_cloudwatch_metric_alarm.this["sweep-stopped"].period == 300 &&
      aws_cloudwatch_metric_alarm.this["sweep-stopped"].evaluation_periods == 2
    )
    error_message = "sweep-stopped should trigger when no sweep succeeds, in which case the metric has no data."
  }

  assert {
    condition = (
      aws_cloudwatch_metric_alarm.fan_out[0].threshold == 1 &&
      one([for query in aws_cloudwatch_metric_alarm.fan_out[0].metric_query : query.expression if query.return_data == true]) == "IF(recipients > 0, 100 * failed / recipients, 0)" &&
      { for query in aws_cloudwatch_metric_alarm.fan_out[0].metric_query : query.id => query.metric[0].metric_name if length(query.metric) == 1 } == { failed = "FanoutFailed", recipients = "FanoutRecipients" } &&
      alltrue(flatten([for query in aws_cloudwatch_metric_alarm.fan_out[0].metric_query : [for metric in query.metric : metric.namespace == "BroadcastSessions" && metric.dimensions == tomap({ Stage = "dev" }) && metric.stat == "Sum" && metric.period == 300]]))
    )
    error_message = "fan-out-failures should trigger when more than 1% of the recipients aren't reached in 5 minutes, and not divide by 0."
  }
}

run "dashboard" {
  command = plan

  module {
    source = "./modules/alarms"
  }

  assert {
    condition     = aws_cloudwatch_dashboard.this[0].dashboard_name == "broadcast-sessions-dev"
    error_message = "The dashboard's name doesn't contain the stage."
  }

  assert {
    condition = length(setsubtract(
      ["ConnectCount", "MessageCount", "Errors", "Duration", "Throttles", "ConsumedReadCapacityUnits", "SuccessfulRequestLatency", "IncomingBytes"],
      flatten([for widget in jsondecode(aws_cloudwatch_dashboard.this[0].dashboard_body).widgets : [for metric in widget.properties.metrics : try(metric[1], "a search")]]),
    )) == 0
    error_message = "The dashboard lacks a metric."
  }

  assert {
    condition = alltrue([
      for widget in jsondecode(aws_cloudwatch_dashboard.this[0].dashboard_body).widgets :
      widget.x + widget.width <= 24 && floor(widget.x) == widget.x && floor(widget.width) == widget.width
    ])
    error_message = "Widgets must have whole-number positions and widths within the dashboard's 24 units."
  }
}

run "queries" {
  command = plan

  module {
    source = "./modules/alarms"
  }

  assert {
    condition = alltrue([
      for query in aws_cloudwatch_query_definition.this :
      startswith(query.name, "broadcast-sessions-dev/") &&
      toset(query.log_group_names) == toset(["/aws/lambda/broadcast-sessions-dev-connect", "/aws/lambda/broadcast-sessions-dev-sweep"])
    ])
    error_message = "A query isn't in the stage's folder, or doesn't read the logs of all functions."
  }

  assert {
    condition = (
      strcontains(aws_cloudwatch_query_definition.this["a caption's way"].query_string, "filter caption = ") &&
      strcontains(aws_cloudwatch_query_definition.this["a caption's way"].query_string, "| sort time asc")
    )
    error_message = "The way of a caption must be in the order of time."
  }
}

run "without_queries" {
  command = plan

  module {
    source = "./modules/alarms"
  }

  variables {
    saved_queries = false
  }

  assert {
    condition     = length(aws_cloudwatch_query_definition.this) == 0
    error_message = "Queries are saved although saved_queries is false."
  }
}
