# One role per function, with the exact actions on the exact resources and on its own log group.

locals {
  sessions    = var.tables["sessions"].arn
  connections = var.tables["connections"].arn
  captions    = var.tables["captions"].arn
  rate_limits = var.tables["rate_limits"].arn
  index       = "${local.connections}/index/sessionId-targetLanguage-index"
  post        = "${local.execution_arn}/${var.stage}/POST/@connections/*"
  close       = "${local.execution_arn}/${var.stage}/DELETE/@connections/*"

  # Apply rate limits.
  rate_limit = [{ actions = ["dynamodb:UpdateItem"], resource = local.rate_limits }]

  # Post to listeners, and remove listeners whose connections no longer exist. The function outcome posts
  # to a part of a large audience, and notifies the speaker of its size.
  post_to_listeners = [
    { actions = ["dynamodb:UpdateItem"], resource = local.sessions },
    { actions = ["dynamodb:UpdateItem"], resource = local.connections },
    { actions = ["dynamodb:Query"], resource = local.index },
    { actions = ["execute-api:ManageConnections"], resource = local.post },
    { actions = ["lambda:InvokeFunction"], resource = "${local.lambda_arn}:${local.outcome_name}" },
  ]

  # Send notices of a session's status.
  notify = concat(local.post_to_listeners, [{ actions = ["dynamodb:GetItem"], resource = local.sessions }])

  # Notify the pipeline of a session's changes.
  pipeline = local.pipeline_function == "" ? [] : [{ actions = ["lambda:InvokeFunction"], resource = local.pipeline_arn }]

  # Number, store and post a caption.
  publish = concat(local.post_to_listeners, [{ actions = ["dynamodb:PutItem"], resource = local.captions }])

  # Both actions have no resource types that the interpreter uses: it has neither terminologies nor
  # lexicons. Source: Service Authorization Reference, Amazon Translate and Amazon Polly.
  translate = [{ actions = ["translate:TranslateText"], resource = "*" }]
  speak = var.media == null ? [] : [
    { actions = ["polly:SynthesizeSpeech"], resource = "*" },
    { actions = ["s3:PutObject"], resource = "${var.media.arn}/*" },
  ]

  # Add a speaker or listener to a session, and undo it if a later step fails. GetItem reads the
  # connection's participant to check permissions. A transaction needs the actions of its items and
  # has no action of its own. Source: "Amazon DynamoDB Transactions: How it works" (IAM).
  join = [
    { actions = ["dynamodb:PutItem"], resource = local.sessions },
    { actions = ["dynamodb:PutItem", "dynamodb:GetItem", "dynamodb:DeleteItem"], resource = local.connections },
  ]

  all_permissions = {
    authorizer = local.rate_limit
    connect    = concat(local.rate_limit, local.notify, local.join, local.pipeline)
    # It also publishes the captions of speakers, and answers listeners that missed some. Ending a session
    # needs no further actions.
    message = concat(local.rate_limit, local.notify, local.join, local.pipeline, [
      { actions = ["dynamodb:PutItem", "dynamodb:Query"], resource = local.captions },
    ])
    # It ends sessions, and restores participants that couldn't be notified.
    disconnect = concat(local.notify, local.pipeline, [
      { actions = ["dynamodb:DeleteItem", "dynamodb:PutItem"], resource = local.connections },
    ])
    # It also closes connections after too many refused commands, and deletes their counts. At the end of a
    # large session, it removes a part of the listeners, and restores those that couldn't be notified.
    outcome = concat(local.notify, local.pipeline, [
      { actions = ["dynamodb:GetItem", "dynamodb:DeleteItem", "dynamodb:PutItem"], resource = local.connections },
      { actions = ["execute-api:ManageConnections"], resource = local.close },
    ])
    publish     = local.publish
    interpreter = concat(local.publish, local.translate, local.speak)
    sweep = concat(local.notify, local.pipeline, [
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

  permissions = { for name, it in local.all_permissions : name => it if name != "interpreter" || local.has_interpreter }
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
