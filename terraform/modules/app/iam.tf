# A role for each function: the exact actions on the exact resources, and its own log group.

locals {
  sessions    = var.tables["sessions"].arn
  connections = var.tables["connections"].arn
  index       = "${local.connections}/index/sessionId-targetLanguage-index"
  post        = "${local.execution_arn}/${var.stage}/POST/@connections/*"

  # Ending a session, which a frame or the speaker's own end may do.
  end_session = [
    { actions = ["dynamodb:UpdateItem", "dynamodb:DeleteItem"], resource = local.sessions },
    { actions = ["dynamodb:DeleteItem", "dynamodb:BatchWriteItem"], resource = local.connections },
    { actions = ["dynamodb:Query"], resource = local.index },
    { actions = ["execute-api:ManageConnections"], resource = local.post },
  ]

  permissions = {
    authorizer = []
    connect = [
      {
        actions  = ["dynamodb:PutItem", "dynamodb:GetItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem"]
        resource = local.sessions
      },
      {
        actions  = ["dynamodb:PutItem", "dynamodb:GetItem", "dynamodb:DeleteItem"]
        resource = local.connections
      },
      { actions = ["lambda:InvokeFunction"], resource = "${local.lambda_arn}:${local.outcome_name}" },
    ]
    message = concat(local.end_session, [
      { actions = ["dynamodb:PutItem", "dynamodb:GetItem"], resource = local.sessions },
      {
        actions  = ["dynamodb:PutItem", "dynamodb:GetItem", "dynamodb:UpdateItem"]
        resource = local.connections
      },
    ])
    disconnect = local.end_session
    outcome    = local.end_session
  }
}

data "aws_iam_policy_document" "assume" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["lambda.amazonaws.com"]
    }
  }
}

data "aws_iam_policy_document" "this" {
  for_each = local.permissions

  dynamic "statement" {
    for_each = each.value

    content {
      actions   = statement.value.actions
      resources = [statement.value.resource]
    }
  }

  statement {
    actions   = ["logs:CreateLogStream", "logs:PutLogEvents"]
    resources = ["${aws_cloudwatch_log_group.this[each.key].arn}:*"]
  }

  dynamic "statement" {
    for_each = var.tracing ? [true] : []

    # X-Ray knows no resources. Source: Service Authorization Reference, AWS X-Ray.
    content {
      actions   = ["xray:PutTraceSegments", "xray:PutTelemetryRecords"]
      resources = ["*"]
    }
  }
}

resource "aws_iam_role" "this" {
  for_each = local.permissions

  name               = "${local.prefix}-${each.key}"
  assume_role_policy = data.aws_iam_policy_document.assume.json
}

resource "aws_iam_role_policy" "this" {
  for_each = local.permissions

  name   = "what-it-does"
  role   = aws_iam_role.this[each.key].id
  policy = data.aws_iam_policy_document.this[each.key].json
}
