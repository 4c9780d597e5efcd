locals {
  api_metric = ["ApiId", var.api_id, "Stage", var.api_stage]

  # Rows of widgets, from the top.
  dashboard_rows = concat([
    [
      {
        title = "Connections"
        stat  = "Sum"
        metrics = [
          concat(["AWS/ApiGateway", "ConnectCount"], local.api_metric, [{ label = "connects" }]),
        ]
      },
      {
        title = "Messages, to and from clients"
        stat  = "Sum"
        metrics = [
          concat(["AWS/ApiGateway", "MessageCount"], local.api_metric, [{ label = "messages" }]),
        ]
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
        title = "Functions: duration in ms, ${stat}"
        stat  = stat
        metrics = [
          for name, function in var.functions :
          ["AWS/Lambda", "Duration", "FunctionName", function.name, { label = name }]
        ]
      }
    ],
    [
      {
        title = "Tables: capacity units consumed"
        stat  = "Sum"
        metrics = concat([
          for metric, what in { ConsumedReadCapacityUnits = "read", ConsumedWriteCapacityUnits = "written" } : [
            for name, table in var.tables :
            ["AWS/DynamoDB", metric, "TableName", table, { label = "${name}, ${what}" }]
          ]
        ]...)
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
          for metric, what in { ReadThrottleEvents = "reads", WriteThrottleEvents = "writes" } : [
            for name, table in var.tables :
            ["AWS/DynamoDB", metric, "TableName", table, { label = "${name}, ${what}" }]
          ]
        ]...)
      },
    ],
    ],
    local.application_rows,
  )

  # A dashboard is 24 units wide.
  widget_width  = 8
  widget_height = 6
}

resource "aws_cloudwatch_dashboard" "this" {
  dashboard_name = var.name_prefix

  dashboard_body = jsonencode({
    widgets = concat([
      for y, row in local.dashboard_rows : [
        for x, widget in row : {
          type   = "metric"
          x      = x * local.widget_width
          y      = y * local.widget_height
          width  = local.widget_width
          height = local.widget_height
          properties = {
            title   = widget.title
            region  = var.region
            view    = "timeSeries"
            period  = local.period_seconds
            stat    = widget.stat
            metrics = widget.metrics
          }
        }
      ]
    ]...)
  })
}
