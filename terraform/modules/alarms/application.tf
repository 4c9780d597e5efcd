# Alarms and widgets for the application's own metrics (chalicelib/metrics.py).
#
# The alarms have the same structure as those in main.tf, which creates the resources. Only the alarm
# that compares two metrics is a resource in this file. The rows of widgets have the same structure as
# those in dashboard.tf, which puts them at the top.
#
# The application writes each metric with the dimensions {Stage}, and some metrics also with
# {Stage, X}. Alarms use {Stage}, because an alarm doesn't add up the values of X.

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
        # Of the few sessions that are created in 5 minutes, the slowest one alone decides the p95.
        # Two periods prevent an alarm for a single slow session.
        statistic   = "p95"
        periods     = 2
        threshold   = 2000
        entry       = "sessions-are-slow-to-create"
        description = "Creating a session took more than 2 s for 5% of the speakers for 10 minutes. DynamoDB or the function is slow."
      }
      connection-errors = {
        metric      = "ConnectionErrors"
        threshold   = 100
        entry       = "commands-fail"
        description = "More than 100 connects, commands and disconnects failed in 5 minutes. The service refuses an audience, or has an internal failure."
      }
      active-sessions = {
        metric      = "ActiveSessions"
        statistic   = "Maximum"
        comparison  = "GreaterThanOrEqualToThreshold"
        threshold   = var.max_active_sessions * 90 / 100
        entry       = "the-stage-is-nearly-full"
        description = "The stage has 90% of the ${var.max_active_sessions} concurrent sessions that it is designed for. The service accepts more, but its quotas haven't been checked for more."
      }
      refresh-failures = {
        metric      = "RefreshesFailed"
        threshold   = 5
        entry       = "refreshes-fail"
        description = "More than 5 refreshes in 5 minutes failed because of the service. API Gateway closes a connection after 2 hours, so clients that can't refresh in time are disconnected."
      }
      circuit-open = {
        metric      = "CircuitOpen"
        threshold   = 0
        entry       = "a-circuit-is-open"
        description = "A function stopped sending requests to DynamoDB for 5 s after three failures in a row. It returns SERVICE_UNAVAILABLE, or doesn't apply rate limits."
      }
      # Posts to 500 listeners take about 150 ms, and those of a slice of 1,000 about twice as long. They end
      # 300 ms after the caption got its number, plus 1 ms per listener of the session, so sessions of 500
      # can reach the threshold, and sessions of 200 can't: fan-out-failures watches their posts, too.
      # Two periods prevent an alarm for a single caption.
      # Source: POSTS_MS in chalicelib/store/caption_numbers.py, and benchmarks/captions.py.
      caption-latency = {
        metric      = "CaptionLatency"
        statistic   = "p99"
        periods     = 2
        threshold   = 500
        entry       = "captions-are-slow"
        description = "Posting a caption to its listeners took more than 500 ms for 1% of the captions for 10 minutes. Posts end 300 ms after the caption got its number, plus 1 ms per listener of the session, and the remaining listeners have to ask for the caption."
      }
      captions-missed = {
        metric      = "CaptionsMissed"
        threshold   = 100
        entry       = "listeners-miss-captions"
        description = "Listeners lost more than 100 captions in 5 minutes, because they were no longer stored when the listeners asked for them, or never were."
      }
      translation-failures = {
        metric      = "TranslationFailures"
        threshold   = 5
        entry       = "captions-are-not-translated"
        description = "More than 5 captions in 5 minutes weren't published in one of their languages. The listeners of that language don't get these phrases."
      }
      speech-failures = {
        metric      = "SpeechFailures"
        threshold   = 5
        entry       = "captions-are-not-spoken"
        description = "More than 5 captions in 5 minutes were published without their speech. Listeners can read them, but not hear them."
      }
      # The client of each invocation has tried twice.
      pipeline-failures = {
        metric      = "PipelineFailures"
        threshold   = 2
        entry       = "the-pipeline-is-not-reached"
        description = "Lambda didn't accept more than 2 events for the pipeline in 5 minutes. Captions aren't translated, or translations begin too late."
      }
      sweep-repairs = {
        metric      = "SweepRepairs"
        threshold   = 20
        entry       = "the-sweep-has-much-to-repair"
        description = "The sweep corrected listener counts by more than 20 in 5 minutes. Functions stop between two writes."
      }
      # Each successful sweep writes the metric, even if the value is 0. The number of invocations
      # isn't sufficient, because a sweep that always fails is still invoked.
      # If missing data were "breaching", the alarm would trigger at the first deployment, before any
      # sweep. With "missing", it triggers when all data points of the evaluation range are missing.
      # That range is longer than the evaluation periods, and AWS doesn't publish by how much. The
      # only example in the documentation has a range of 5 for 3 periods, so expect about 4 for 2
      # periods, or 20 minutes.
      # Source: "Configuring how CloudWatch alarms treat missing data", Amazon CloudWatch User Guide.
      sweep-stopped = {
        metric       = "SweepRepairs"
        statistic    = "SampleCount"
        periods      = 2
        comparison   = "LessThanThreshold"
        threshold    = 1
        missing_data = "missing"
        entry        = "the-sweep-has-stopped"
        description  = "No sweep has succeeded for about 20 minutes, although one starts every minute. Sessions that are over and lost listeners aren't removed."
      }
    } :
    name => merge({ namespace = local.namespace, dimensions = { Stage = var.stage }, statistic = "Sum" }, alarm)
  }

  application_rows = [
    [
      {
        title   = "Active sessions"
        stat    = "Maximum"
        metrics = [[local.namespace, "ActiveSessions", "Stage", var.stage, { label = "sessions" }]]
      },
      {
        title   = "Listeners"
        stat    = "Maximum"
        metrics = [[local.namespace, "TotalListeners", "Stage", var.stage, { label = "listeners" }]]
      },
      {
        title = "Ended sessions, by reason"
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
        title = "Notices and their recipients"
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
        title = "Captions: published, delivered, missed"
        stat  = "Sum"
        metrics = [
          for metric, label in { CaptionsPublished = "captions and translations", CaptionsDelivered = "posts", CaptionsMissed = "missed" } :
          [local.namespace, metric, "Stage", var.stage, { label = label }]
        ]
      },
      {
        title = "Captions: latency in ms"
        stat  = "p50"
        metrics = [
          for stat in ["p50", "p95", "p99"] :
          [local.namespace, "CaptionLatency", "Stage", var.stage, { label = stat, stat = stat }]
        ]
      },
      {
        title   = "Characters translated"
        stat    = "Sum"
        metrics = [[local.namespace, "CharactersTranslated", "Stage", var.stage, { label = "characters" }]]
      },
      {
        title = "Captions: failures"
        stat  = "Sum"
        metrics = [
          for metric, label in { TranslationFailures = "not translated", SpeechFailures = "not spoken", PipelineFailures = "events the pipeline didn't get" } :
          [local.namespace, metric, "Stage", var.stage, { label = label }]
        ]
      },
    ],
    [
      {
        title   = "Opened circuits"
        stat    = "Sum"
        metrics = [[local.namespace, "CircuitOpen", "Stage", var.stage, { label = "circuits" }]]
      },
      {
        title   = "Completed sweeps"
        stat    = "SampleCount"
        metrics = [[local.namespace, "SweepRepairs", "Stage", var.stage, { label = "sweeps" }]]
      },
      {
        title   = "Repairs by the sweep"
        stat    = "Sum"
        metrics = [[local.namespace, "SweepRepairs", "Stage", var.stage, { label = "repairs" }]]
      },
      {
        title   = "Lost listeners"
        stat    = "Sum"
        metrics = [[local.namespace, "ParticipantsLost", "Stage", var.stage, { label = "listeners" }]]
      },
    ],
  ]

  # One line per value of a dimension with many values. CloudWatch finds the recent values.
  # Source: "CloudWatch search expression syntax", Amazon CloudWatch User Guide.
  search = "SEARCH('{${local.namespace},Stage,%s} MetricName=\"%s\" Stage=\"${var.stage}\"', 'Sum', ${local.period_seconds})"
}

resource "aws_cloudwatch_metric_alarm" "fan_out" {
  count = contains(local.selected, "fan-out-failures") ? 1 : 0

  alarm_name          = "${var.name_prefix}-fan-out-failures"
  alarm_description   = "More than 1% of the recipients of notices and captions weren't reached in 5 minutes. They don't learn that their session is paused, interrupted or over, and have to ask for the captions. ${local.runbook}#listeners-are-not-reached"
  evaluation_periods  = 1
  comparison_operator = "GreaterThanThreshold"
  threshold           = 1
  treat_missing_data  = "notBreaching"
  alarm_actions       = [aws_sns_topic.this.arn]
  ok_actions          = [aws_sns_topic.this.arn]

  # Notices without recipients are measured as well, so the expression must not divide by 0.
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

# The alarm used to be a resource of its own. Without this block, Terraform would create the new alarm
# and then delete the old one, which has the same name.
moved {
  from = aws_cloudwatch_metric_alarm.stopped["sweep"]
  to   = aws_cloudwatch_metric_alarm.this["sweep-stopped"]
}
