# A role for each function: the exact actions on the exact resources, and its own log group.

locals {
  sessions    = var.tables["sessions"].arn
  connections = var.tables["connections"].arn
  rate_limits = var.tables["rate_limits"].arn
  index       = "${local.connections}/index/sessionId-targetLanguage-index"
  post        = "${local.execution_arn}/${var.stage}/POST/@connections/*"
  close       = "${local.execution_arn}/${var.stage}/DELETE/@connections/*"

  # Counting what may not be done too often.
  count = [{ actions = ["dynamodb:UpdateItem"], resource = local.rate_limits }]

  # Telling listeners something, and taking out those who turn out to be gone.
  tell = [
    { actions = ["dynamodb:GetItem", "dynamodb:UpdateItem"], resource = local.sessions },
    { actions = ["dynamodb:UpdateItem"], resource = local.connections },
    { actions = ["dynamodb:Query"], resource = local.index },
    { actions = ["execute-api:ManageConnections"], resource = local.post },
  ]

  # Coming into a session, as whoever, and being taken out again where that fails half-way; a
  # connection's record is looked at for who may. DynamoDB knows no action for a transaction: it
  # takes those of its items. Source: "Amazon DynamoDB Transactions: How it works" (IAM).
  come_in = [
    { actions = ["dynamodb:PutItem"], resource = local.sessions },
    { actions = ["dynamodb:PutItem", "dynamodb:GetItem", "dynamodb:DeleteItem"], resource = local.connections },
    { actions = ["lambda:InvokeFunction"], resource = "${local.lambda_arn}:${local.outcome_name}" },
  ]

  permissions = {
    authorizer = local.count
    connect    = concat(local.count, local.tell, local.come_in)
    # It may end a session, too, which takes no more.
    message = concat(local.count, local.tell, local.come_in)
    # It may end a session, and put back who could not be notified.
    disconnect = concat(local.tell, [{ actions = ["dynamodb:DeleteItem", "dynamodb:PutItem"], resource = local.connections }])
    # It also closes connections that keep being refused, and deletes their counts.
    outcome = concat(local.tell, [
      { actions = ["dynamodb:GetItem", "dynamodb:DeleteItem"], resource = local.connections },
      { actions = ["execute-api:ManageConnections"], resource = local.close },
    ])
    sweep = concat(local.tell, [
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
