# What the application measures itself (chalicelib/metrics.py). An alarm here has the shape of those
# in main.tf and is made there, but for the one that compares two metrics; a row of widgets here has
# the shape of those in dashboard.tf and stands above them.
#
# A metric is written for {Stage} and, some of them, for {Stage, a word} as well. An alarm is of the
# first: it would not add the others up.

locals {
  namespace = "BroadcastSessions"

  # The protocol's error codes.
  codes = [
    "CONFLICT", "FORBIDDEN", "INTERNAL_ERROR", "INVALID_ACTION", "INVALID_PARAMETERS", "INVALID_SESSION_ID",
    "MESSAGE_TOO_LARGE", "RATE_LIMIT_EXCEEDED", "SERVICE_UNAVAILABLE", "SESSION_FULL", "SESSION_NOT_FOUND",
    "UNAUTHORIZED", "UNSUPPORTED_LANGUAGE",
  ]

  end_reasons = ["expired", "speakerEnded", "speakerLost"]

  latencies = {
    SessionCreationLatency = "createSession"
    ListenerJoinLatency    = "joinSession"
    HeartbeatLatency       = "heartbeat"
    DisconnectLatency      = "disconnect"
  }

  application_alarms = {
    for name, alarm in {
      session-creation-latency = {
        metric = "SessionCreationLatency"
        # Few sessions are created in 5 minutes, and the slowest of few is their p95: hence two periods.
        statistic   = "p95"
        periods     = 2
        threshold   = 2000
        entry       = "sessions-are-slow-to-create"
        description = "For 10 minutes one speaker in twenty has waited more than 2 s for his session: DynamoDB is slow, or the function that asks it."
      }
      connection-errors = {
        metric      = "ConnectionErrors"
        threshold   = 100
        entry       = "commands-fail"
        description = "More than 100 connects, commands and closes in 5 minutes have come to an error: a hall is refused, or the service fails it."
      }
      active-sessions = {
        metric      = "ActiveSessions"
        statistic   = "Maximum"
        comparison  = "GreaterThanOrEqualToThreshold"
        threshold   = var.max_active_sessions * 90 / 100
        entry       = "the-stage-is-nearly-full"
        description = "There are 90 % of the ${var.max_active_sessions} sessions for which the stage is laid out: nothing stops those beyond it, and nobody has made sure that they fare well."
      }
      refresh-failures = {
        metric      = "RefreshesFailed"
        threshold   = 5
        entry       = "refreshes-fail"
        description = "More than 5 refreshes in 5 minutes have failed by our own fault: whoever cannot move in time is cut off when API Gateway closes the connection after 2 hours."
      }
      circuit-open = {
        metric      = "CircuitOpen"
        threshold   = 0
        entry       = "a-circuit-is-open"
        description = "A function has stopped asking DynamoDB, which had failed it three times in a row: for 5 s at a time it answers SERVICE_UNAVAILABLE, or lets things pass uncounted."
      }
      sweep-repairs = {
        metric      = "SweepRepairs"
        threshold   = 20
        entry       = "the-sweep-has-much-to-repair"
        description = "The sweep has corrected listener counts by more than 20 in 5 minutes: functions break off between two writes."
      }
      # Each sweep that ends well writes the metric, be it 0. One that fails every time runs all the same.
      # With gaps that are "breaching" the alarm would ring at the first deploy, before any sweep.
      # The alarm rings when all data points of its evaluation range are missing. The range is longer
      # than the evaluation periods, and AWS doesn't publish by how much: its only example has 5 for 3,
      # hence about 4 for 2, or 20 minutes.
      # Source: "Configuring how CloudWatch alarms treat missing data", Amazon CloudWatch User Guide.
      sweep-stopped = {
        metric      = "SweepRepairs"
        statistic   = "SampleCount"
        periods     = 2
        comparison  = "LessThanThreshold"
        threshold   = 1
        gap         = "missing"
        entry       = "the-sweep-has-stopped"
        description = "No sweep has ended well for about 20 minutes, though one begins every minute: sessions that are over and listeners that are gone stay."
      }
    } :
    name => merge({ namespace = local.namespace, dimensions = { Stage = var.stage }, statistic = "Sum" }, alarm)
  }

  application_rows = [
    [
      {
        title   = "Sessions that are active"
        stat    = "Maximum"
        metrics = [[local.namespace, "ActiveSessions", "Stage", var.stage, { label = "sessions" }]]
      },
      {
        title   = "Listeners"
        stat    = "Maximum"
        metrics = [[local.namespace, "TotalListeners", "Stage", var.stage, { label = "listeners" }]]
      },
      {
        title = "Sessions that have ended, by reason"
        stat  = "Sum"
        metrics = [
          for reason in local.end_reasons :
          [local.namespace, "SessionsEnded", "Stage", var.stage, "Reason", reason, { label = reason }]
        ]
      },
    ],
    [
      for stat in ["p50", "p95", "p99"] : {
        title = "Operations: latency in ms, ${stat}"
        stat  = stat
        metrics = [
          for metric, operation in local.latencies :
          [local.namespace, metric, "Stage", var.stage, { label = operation }]
        ]
      }
    ],
    [
      {
        title = "Errors, by code"
        stat  = "Sum"
        metrics = [
          for code in local.codes :
          [local.namespace, "ConnectionErrors", "Stage", var.stage, "Code", code, { label = code }]
        ]
      },
      {
        title   = "Refused by a limit, by operation"
        stat    = "Sum"
        metrics = [[{ expression = format(local.search, "Operation", "RateLimitExceeded"), label = "" }]]
      },
      {
        title   = "Refused by the authorizer, by reason"
        stat    = "Sum"
        metrics = [[{ expression = format(local.search, "Reason", "AuthorizationFailures"), label = "" }]]
      },
    ],
    [
      {
        title = "Notices, and who was to hear them"
        stat  = "Sum"
        metrics = [
          for metric, label in { FanoutRecipients = "recipients", FanoutGone = "gone", FanoutFailed = "failed" } :
          [local.namespace, metric, "Stage", var.stage, { label = label }]
        ]
      },
      {
        title = "Notices: duration in ms"
        stat  = "p50"
        metrics = [
          for stat in ["p50", "p95", "p99"] :
          [local.namespace, "FanoutDuration", "Stage", var.stage, { label = stat, stat = stat }]
        ]
      },
      {
        title = "Refreshes"
        stat  = "Sum"
        metrics = [
          for metric, label in { RefreshesCompleted = "completed", RefreshesFailed = "failed by our fault" } :
          [local.namespace, metric, "Stage", var.stage, { label = label }]
        ]
      },
    ],
    [
      {
        title   = "Circuits that have opened"
        stat    = "Sum"
        metrics = [[local.namespace, "CircuitOpen", "Stage", var.stage, { label = "circuits" }]]
      },
      {
        title   = "Sweeps that have ended well"
        stat    = "SampleCount"
        metrics = [[local.namespace, "SweepRepairs", "Stage", var.stage, { label = "sweeps" }]]
      },
      {
        title   = "Repairs by the sweep"
        stat    = "Sum"
        metrics = [[local.namespace, "SweepRepairs", "Stage", var.stage, { label = "repairs" }]]
      },
      {
        title   = "Listeners that were lost"
        stat    = "Sum"
        metrics = [[local.namespace, "ParticipantsLost", "Stage", var.stage, { label = "listeners" }]]
      },
    ],
  ]

  # What a stage's metric is split by, where the words are many: those that there have been of late.
  # Source: "CloudWatch search expression syntax", Amazon CloudWatch User Guide.
  search = "SEARCH('{${local.namespace},Stage,%s} MetricName=\"%s\" Stage=\"${var.stage}\"', 'Sum', ${local.period_seconds})"
}

resource "aws_cloudwatch_metric_alarm" "fan_out" {
  count = contains(local.made, "fan-out-failures") ? 1 : 0

  alarm_name          = "${var.name_prefix}-fan-out-failures"
  alarm_description   = "Of those whom notices were for in 5 minutes, more than 1 % were not reached: they do not hear that their session is paused, interrupted or over. ${local.runbook}#listeners-are-not-reached"
  evaluation_periods  = 1
  comparison_operator = "GreaterThanThreshold"
  threshold           = 1
  treat_missing_data  = "notBreaching"
  alarm_actions       = [aws_sns_topic.this.arn]
  ok_actions          = [aws_sns_topic.this.arn]

  # A notice to nobody is counted, too, and there is nothing to divide by.
  metric_query {
    id          = "percent"
    label       = "recipients not reached, in %"
    expression  = "IF(recipients > 0, 100 * failed / recipients, 0)"
    return_data = true
  }

  dynamic "metric_query" {
    for_each = { failed = "FanoutFailed", recipients = "FanoutRecipients" }

    content {
      id = metric_query.key

      metric {
        namespace   = local.namespace
        metric_name = metric_query.value
        dimensions  = { Stage = var.stage }
        stat        = "Sum"
        period      = local.period_seconds
      }
    }
  }
}

# It had a resource of its own. Of a stage that was applied so, the alarm would be made anew, and then
# the old one removed, which has the same name.
moved {
  from = aws_cloudwatch_metric_alarm.stopped["sweep"]
  to   = aws_cloudwatch_metric_alarm.this["sweep-stopped"]
}
