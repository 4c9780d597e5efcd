# Who is told of what.
#
#   terraform test -filter=tests/alarms.tftest.hcl

mock_provider "aws" {
  source          = "./tests/aws"
  override_during = plan
}

variables {
  name_prefix = "broadcast-sessions-dev"
  region      = "us-east-1"
  emails      = ["one@example.com", "two@example.com"]
  api_id      = "a1b2c3d4e5"
  api_stage   = "dev"
  tables      = { sessions = "broadcast-sessions-dev-sessions" }
  functions = {
    connect = { name = "broadcast-sessions-dev-connect", timeout_seconds = 20, is_scheduled = false }
    sweep   = { name = "broadcast-sessions-dev-sweep", timeout_seconds = 150, is_scheduled = true }
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
    condition = toset(concat(keys(aws_cloudwatch_metric_alarm.this), keys(aws_cloudwatch_metric_alarm.table), [for alarm in aws_cloudwatch_metric_alarm.stopped : trimprefix(alarm.alarm_name, "broadcast-sessions-dev-")])) == toset([
      "api-client-errors",
      "api-execution-errors",
      "api-integration-errors",
      "connect-duration",
      "connect-errors",
      "connect-throttles",
      "sweep-duration",
      "sweep-errors",
      "sweep-stopped",
      "sweep-throttles",
      "table-sessions-system-errors",
      "table-sessions-throttles",
    ])
    error_message = "There is an alarm too many, or one is missing."
  }

  assert {
    condition = alltrue([
      for alarm in concat(values(aws_cloudwatch_metric_alarm.this), values(aws_cloudwatch_metric_alarm.table)) :
      startswith(alarm.alarm_name, "broadcast-sessions-dev-") &&
      alarm.alarm_actions == toset([aws_sns_topic.this.arn]) &&
      alarm.ok_actions == toset([aws_sns_topic.this.arn]) &&
      alarm.treat_missing_data == "notBreaching" &&
      alarm.comparison_operator == "GreaterThanThreshold" &&
      endswith(alarm.alarm_description, ".")
    ])
    error_message = "An alarm tells nobody, or does not say what it means, or rings where nothing happens."
  }

  assert {
    condition = (
      aws_cloudwatch_metric_alarm.stopped["sweep"].alarm_name == "broadcast-sessions-dev-sweep-stopped" &&
      aws_cloudwatch_metric_alarm.stopped["sweep"].dimensions == tomap({ FunctionName = "broadcast-sessions-dev-sweep" }) &&
      aws_cloudwatch_metric_alarm.stopped["sweep"].metric_name == "Invocations" &&
      aws_cloudwatch_metric_alarm.stopped["sweep"].comparison_operator == "LessThanThreshold" &&
      aws_cloudwatch_metric_alarm.stopped["sweep"].threshold == 1 &&
      aws_cloudwatch_metric_alarm.stopped["sweep"].treat_missing_data == "breaching" &&
      aws_cloudwatch_metric_alarm.stopped["sweep"].period * aws_cloudwatch_metric_alarm.stopped["sweep"].evaluation_periods == 600 &&
      aws_cloudwatch_metric_alarm.stopped["sweep"].alarm_actions == toset([aws_sns_topic.this.arn]) &&
      aws_cloudwatch_metric_alarm.stopped["sweep"].ok_actions == toset([aws_sns_topic.this.arn])
    )
    error_message = "It is to ring when the sweep has not run for 10 minutes, of which there is no metric at all."
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

  # CloudWatch takes ten metrics in an alarm, and ids that begin with a small letter.
  assert {
    condition = alltrue([
      for alarm in aws_cloudwatch_metric_alarm.table :
      length(alarm.metric_query) <= 11 &&
      alltrue([for query in alarm.metric_query : can(regex("^[a-z][a-zA-Z0-9_]*$", query.id))]) &&
      length([for query in alarm.metric_query : query if query.return_data == true]) == 1
    ])
    error_message = "CloudWatch would refuse a table's alarm."
  }

  assert {
    condition = alltrue([
      for alarm in aws_cloudwatch_metric_alarm.table : alltrue([
        for query in alarm.metric_query :
        strcontains(one([for total in alarm.metric_query : total.expression if total.id == "total"]), "FILL(${query.id}, 0)")
        if query.id != "total"
      ])
    ])
    error_message = "A metric is asked for and not added up, or makes a gap."
  }
}

run "dashboard" {
  command = plan

  module {
    source = "./modules/alarms"
  }

  assert {
    condition     = aws_cloudwatch_dashboard.this.dashboard_name == "broadcast-sessions-dev"
    error_message = "The dashboard's name is without the stage."
  }

  assert {
    condition = length(setsubtract(
      ["ConnectCount", "MessageCount", "Errors", "Duration", "Throttles", "ConsumedReadCapacityUnits", "SuccessfulRequestLatency"],
      flatten([for widget in jsondecode(aws_cloudwatch_dashboard.this.dashboard_body).widgets : [for metric in widget.properties.metrics : metric[1]]]),
    )) == 0
    error_message = "The dashboard does not show everything."
  }

  assert {
    condition = alltrue([
      for widget in jsondecode(aws_cloudwatch_dashboard.this.dashboard_body).widgets : widget.x + widget.width <= 24
    ])
    error_message = "A dashboard is 24 units wide."
  }
}
