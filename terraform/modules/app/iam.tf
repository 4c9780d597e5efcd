# One role per function, with the exact actions on the exact resources and on its own log group.

locals {
  sessions    = var.tables["sessions"].arn
  connections = var.tables["connections"].arn
  rate_limits = var.tables["rate_limits"].arn
  index       = "${local.connections}/index/sessionId-targetLanguage-index"
  post        = "${local.execution_arn}/${var.stage}/POST/@connections/*"
  close       = "${local.execution_arn}/${var.stage}/DELETE/@connections/*"

  # Apply rate limits.
  rate_limit = [{ actions = ["dynamodb:UpdateItem"], resource = local.rate_limits }]

  # Send notices to listeners, and remove listeners whose connections no longer exist.
  notify = [
    { actions = ["dynamodb:GetItem", "dynamodb:UpdateItem"], resource = local.sessions },
    { actions = ["dynamodb:UpdateItem"], resource = local.connections },
    { actions = ["dynamodb:Query"], resource = local.index },
    { actions = ["execute-api:ManageConnections"], resource = local.post },
  ]

  # Add a speaker or listener to a session, and undo it if a later step fails. GetItem reads the
  # connection's participant to check permissions. A transaction needs the actions of its items and
  # has no action of its own. Source: "Amazon DynamoDB Transactions: How it works" (IAM).
  join = [
    { actions = ["dynamodb:PutItem"], resource = local.sessions },
    { actions = ["dynamodb:PutItem", "dynamodb:GetItem", "dynamodb:DeleteItem"], resource = local.connections },
    { actions = ["lambda:InvokeFunction"], resource = "${local.lambda_arn}:${local.outcome_name}" },
  ]

  permissions = {
    authorizer = local.rate_limit
    connect    = concat(local.rate_limit, local.notify, local.join)
    # Ending a session needs no further actions.
    message = concat(local.rate_limit, local.notify, local.join)
    # It ends sessions, and restores participants that couldn't be notified.
    disconnect = concat(local.notify, [{ actions = ["dynamodb:DeleteItem", "dynamodb:PutItem"], resource = local.connections }])
    # It also closes connections after too many refused commands, and deletes their counts.
    outcome = concat(local.notify, [
      { actions = ["dynamodb:GetItem", "dynamodb:DeleteItem"], resource = local.connections },
      { actions = ["execute-api:ManageConnections"], resource = local.close },
    ])
    sweep = concat(local.notify, [
      {
        actions  = ["dynamodb:Scan", "dynamodb:PutItem", "dynamodb:DeleteItem"]
        resource = local.sessions
      },
      {
        actions  = ["dynamodb:GetItem", "dynamodb:BatchGetItem", "dynamodb:PutItem", "dynamodb:DeleteItem"]
        resource = local.connections
      },
      { actions = ["execute-api:ManageConnections"], resource = local.close },
    ])
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

    # X-Ray has no resource types. Source: Service Authorization Reference, AWS X-Ray.
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
