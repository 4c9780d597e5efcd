# Who is told of what.
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
    error_message = "CloudWatch cannot publish to a topic that is encrypted by the key of AWS."
  }

  assert {
    condition     = toset([for subscription in aws_sns_topic_subscription.this : subscription.endpoint]) == var.emails
    error_message = "Somebody is not told."
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
    error_message = "Others than this account's alarms may publish."
  }
}

run "nobody_to_tell" {
  command = plan

  module {
    source = "./modules/alarms"
  }

  variables {
    emails = []
  }

  assert {
    condition     = length(aws_sns_topic_subscription.this) == 0
    error_message = "Somebody is told who was not named."
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
      "circuit-open",
      "connect-duration",
      "connect-errors",
      "connect-throttles",
      "connection-errors",
      "fan-out-failures",
      "refresh-failures",
      "session-creation-latency",
      "sweep-duration",
      "sweep-errors",
      "sweep-repairs",
      "sweep-stopped",
      "sweep-throttles",
      "table-sessions-system-errors",
      "table-sessions-throttles",
    ])
    error_message = "There is an alarm too many, or one is missing."
  }

  assert {
    condition = alltrue([
      for alarm in concat(values(aws_cloudwatch_metric_alarm.this), values(aws_cloudwatch_metric_alarm.table), aws_cloudwatch_metric_alarm.fan_out) :
      startswith(alarm.alarm_name, "broadcast-sessions-dev-") &&
      alarm.alarm_actions == toset([aws_sns_topic.this.arn]) &&
      alarm.ok_actions == toset([aws_sns_topic.this.arn]) &&
      can(regex("^[^.]+ [^.]+\\. What to do: docs/how-to/respond-to-alarms\\.md#[a-z-]+$", alarm.alarm_description))
    ])
    error_message = "An alarm tells nobody, or does not say what it means and where one reads what to do."
  }

  assert {
    condition = alltrue([
      for alarm in concat(values(aws_cloudwatch_metric_alarm.this), values(aws_cloudwatch_metric_alarm.table), aws_cloudwatch_metric_alarm.fan_out) :
      (alarm.treat_missing_data == "notBreaching" && startswith(alarm.comparison_operator, "GreaterThan")) ||
      endswith(alarm.alarm_name, "-sweep-stopped")
    ])
    error_message = "An alarm rings where nothing happens."
  }

  assert {
    condition = (
      aws_cloudwatch_metric_alarm.this["connect-errors"].threshold == 10 &&
      aws_cloudwatch_metric_alarm.this["connect-errors"].period * aws_cloudwatch_metric_alarm.this["connect-errors"].evaluation_periods == 300
    )
    error_message = "It is to ring at more than 10 errors in 5 minutes."
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.this["connect-throttles"].threshold == 0
    error_message = "It is to ring at the first throttle."
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.this["connect-duration"].threshold == 16000
    error_message = "It is to ring at 80 % of 20 s, in milliseconds."
  }

  assert {
    condition = alltrue([
      for name in ["api-client-errors", "api-execution-errors", "api-integration-errors"] :
      aws_cloudwatch_metric_alarm.this[name].dimensions == tomap({ ApiId = "a1b2c3d4e5", Stage = "dev" })
    ])
    error_message = "API Gateway measures by ApiId and Stage."
  }

  # No metric is named, so none has to have been written.
  assert {
    condition = alltrue([
      for alarm in aws_cloudwatch_metric_alarm.table :
      length(alarm.metric_query) == 1 &&
      alltrue([for query in alarm.metric_query : query.return_data == true && query.period == 300 && length(query.metric) == 0])
    ])
    error_message = "A table's alarm needs metrics that DynamoDB may never have written."
  }

  assert {
    condition     = one(aws_cloudwatch_metric_alarm.table["table-sessions-throttles"].metric_query).expression == "SELECT SUM(ThrottledRequests) FROM SCHEMA(\"AWS/DynamoDB\", TableName, Operation) WHERE TableName = 'broadcast-sessions-dev-sessions'"
    error_message = "The alarm asks for something else than the throttled requests of its table."
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.this["sweep-errors"].threshold == 2
    error_message = "A sweep runs 5 times in 5 minutes, so an alarm at more than 4 errors can miss that all of them fail."
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
      "refresh-failures",
      "sweep-errors",
      "sweep-stopped",
    ])
    error_message = "There is an alarm too many, or one is missing."
  }

  assert {
    condition     = length(aws_cloudwatch_dashboard.this) == 1
    error_message = "There is no dashboard to look at when an alarm rings."
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
    error_message = "Something is made that costs money in a stage without alarms."
  }
}

run "alarms_of_the_application" {
  command = plan

  module {
    source = "./modules/alarms"
  }

  assert {
    condition = alltrue([
      for name in ["active-sessions", "circuit-open", "connection-errors", "refresh-failures", "session-creation-latency", "sweep-repairs", "sweep-stopped"] :
      aws_cloudwatch_metric_alarm.this[name].namespace == "BroadcastSessions" &&
      aws_cloudwatch_metric_alarm.this[name].dimensions == tomap({ Stage = "dev" })
    ])
    error_message = "The application measures by Stage: with other dimensions an alarm hears nothing."
  }

  assert {
    condition = (
      aws_cloudwatch_metric_alarm.this["session-creation-latency"].extended_statistic == "p95" &&
      aws_cloudwatch_metric_alarm.this["session-creation-latency"].threshold == 2000 &&
      aws_cloudwatch_metric_alarm.this["session-creation-latency"].period == 300 &&
      aws_cloudwatch_metric_alarm.this["session-creation-latency"].evaluation_periods == 2
    )
    error_message = "It is to ring when one speaker in twenty waits for more than 2 s in two periods of 5 minutes."
  }

  assert {
    condition = {
      for name in ["circuit-open", "connection-errors", "refresh-failures", "sweep-repairs"] : name =>
      aws_cloudwatch_metric_alarm.this[name].threshold
      if aws_cloudwatch_metric_alarm.this[name].statistic == "Sum" && aws_cloudwatch_metric_alarm.this[name].evaluation_periods == 1
    } == { circuit-open = 0, connection-errors = 100, refresh-failures = 5, sweep-repairs = 20 }
    error_message = "What is counted rings at other numbers than those agreed on."
  }

  assert {
    condition = (
      aws_cloudwatch_metric_alarm.this["active-sessions"].threshold == 45 &&
      aws_cloudwatch_metric_alarm.this["active-sessions"].statistic == "Maximum" &&
      aws_cloudwatch_metric_alarm.this["active-sessions"].comparison_operator == "GreaterThanOrEqualToThreshold"
    )
    error_message = "It is to ring at 90 % of 50 sessions."
  }

  # A sweep that fails each time is invoked all the same, and five errors in 5 minutes are no alarm.
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
    error_message = "It is to ring when no sweep ends well any more, of which there is no metric at all."
  }

  assert {
    condition = (
      aws_cloudwatch_metric_alarm.fan_out[0].threshold == 1 &&
      one([for query in aws_cloudwatch_metric_alarm.fan_out[0].metric_query : query.expression if query.return_data == true]) == "IF(recipients > 0, 100 * failed / recipients, 0)" &&
      { for query in aws_cloudwatch_metric_alarm.fan_out[0].metric_query : query.id => query.metric[0].metric_name if length(query.metric) == 1 } == { failed = "FanoutFailed", recipients = "FanoutRecipients" } &&
      alltrue(flatten([for query in aws_cloudwatch_metric_alarm.fan_out[0].metric_query : [for metric in query.metric : metric.namespace == "BroadcastSessions" && metric.dimensions == tomap({ Stage = "dev" }) && metric.stat == "Sum" && metric.period == 300]]))
    )
    error_message = "It is to ring when more than 1 % of the recipients of 5 minutes are not reached, and not to divide by 0."
  }
}

run "dashboard" {
  command = plan

  module {
    source = "./modules/alarms"
  }

  assert {
    condition     = aws_cloudwatch_dashboard.this[0].dashboard_name == "broadcast-sessions-dev"
    error_message = "The dashboard's name is without the stage."
  }

  assert {
    condition = length(setsubtract(
      ["ConnectCount", "MessageCount", "Errors", "Duration", "Throttles", "ConsumedReadCapacityUnits", "SuccessfulRequestLatency", "IncomingBytes"],
      flatten([for widget in jsondecode(aws_cloudwatch_dashboard.this[0].dashboard_body).widgets : [for metric in widget.properties.metrics : try(metric[1], "a search")]]),
    )) == 0
    error_message = "The dashboard does not show everything."
  }

  assert {
    condition = alltrue([
      for widget in jsondecode(aws_cloudwatch_dashboard.this[0].dashboard_body).widgets :
      widget.x + widget.width <= 24 && floor(widget.x) == widget.x && floor(widget.width) == widget.width
    ])
    error_message = "A dashboard is 24 whole units wide."
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
    error_message = "A query is not in the stage's folder, or does not read every function's log."
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
    error_message = "Queries are saved where there is nowhere to save them."
  }
}
