locals {
  api_metric = ["ApiId", var.api_id, "Stage", var.stage]

  connects = concat(["AWS/ApiGateway", "ConnectCount"], local.api_metric, [{ label = "connects" }])
  messages = concat(["AWS/ApiGateway", "MessageCount"], local.api_metric, [{ label = "messages" }])

  durations = [
    for name, function in var.functions :
    ["AWS/Lambda", "Duration", "FunctionName", function.name, { label = name }]
  ]

  consumed_units = concat([
    for metric, label in { ConsumedReadCapacityUnits = "read", ConsumedWriteCapacityUnits = "written" } : [
      for name, table in var.tables :
      ["AWS/DynamoDB", metric, "TableName", table, { label = "${name}, ${label}" }]
    ]
  ]...)

  # The widgets for AWS's own metrics.
  aws_rows = [
    [
      {
        title   = "Connections"
        stat    = "Sum"
        metrics = [local.connects]
      },
      {
        title   = "Messages, to and from clients"
        stat    = "Sum"
        metrics = [local.messages]
      },
      {
        title = "Errors at the API"
        stat  = "Sum"
        metrics = [
          concat(["AWS/ApiGateway", "ClientError"], local.api_metric, [{ label = "4xx by API Gateway" }]),
          concat(["AWS/ApiGateway", "IntegrationError"], local.api_metric, [{ label = "4xx and 5xx by functions" }]),
          concat(["AWS/ApiGateway", "ExecutionError"], local.api_metric, [{ label = "functions not reached" }]),
        ]
      },
    ],
    [
      for metric in ["Invocations", "Errors", "Throttles"] : {
        title = "Functions: ${lower(metric)}"
        stat  = "Sum"
        metrics = [
          for name, function in var.functions :
          ["AWS/Lambda", metric, "FunctionName", function.name, { label = name }]
        ]
      }
    ],
    [
      for stat in ["p50", "p95", "p99"] : {
        title   = "Functions: duration in ms, ${stat}"
        stat    = stat
        metrics = local.durations
      }
    ],
    [
      {
        title   = "Tables: capacity units consumed"
        stat    = "Sum"
        metrics = local.consumed_units
      },
      {
        title = "Tables: latency in ms, p99"
        stat  = "p99"
        metrics = concat([
          for name, table in var.tables : [
            for operation in local.table_operations :
            ["AWS/DynamoDB", "SuccessfulRequestLatency", "TableName", table, "Operation", operation, { label = "${name}, ${operation}" }]
          ]
        ]...)
      },
      {
        title = "Tables: throttled"
        stat  = "Sum"
        metrics = concat([
          for metric, label in { ReadThrottleEvents = "reads", WriteThrottleEvents = "writes" } : [
            for name, table in var.tables :
            ["AWS/DynamoDB", metric, "TableName", table, { label = "${name}, ${label}" }]
          ]
        ]...)
      },
    ],
  ]

  # The metrics that determine the cost of a stage. Connection minutes cost money too, but have no
  # metric.
  cost_row = [
    for title, metrics in {
      "Cost per hour: connects and messages" = [local.connects, local.messages]
      "Cost per hour: functions, in ms"      = local.durations
      "Cost per hour: tables, in units"      = local.consumed_units
      "Cost per hour: logs, in bytes ingested" = [
        for name, function in var.functions :
        ["AWS/Logs", "IncomingBytes", "LogGroupName", function.log_group, { label = name }]
      ]
    } : { title = title, stat = "Sum", period = 3600, metrics = metrics }
  ]

  # From top to bottom: the service as clients see it, its AWS resources, and its cost.
  dashboard_rows = concat(local.application_rows, local.aws_rows, [local.cost_row])

  dashboard_width = 24 # CloudWatch's grid units
  widget_height   = 6
}

resource "aws_cloudwatch_dashboard" "this" {
  count = var.level == "none" ? 0 : 1

  dashboard_name = var.name_prefix

  dashboard_body = jsonencode({
    widgets = concat([
      for y, row in local.dashboard_rows : [
        for x, widget in row : {
          type   = "metric"
          x      = x * local.dashboard_width / length(row)
          y      = y * local.widget_height
          width  = local.dashboard_width / length(row)
          height = local.widget_height
          properties = {
            title   = widget.title
            region  = var.region
            view    = "timeSeries"
            period  = lookup(widget, "period", local.period_seconds)
            stat    = widget.stat
            metrics = widget.metrics
          }
        }
      ]
    ]...)
  })
}
