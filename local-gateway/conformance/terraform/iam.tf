# One role per function, with the exact actions on the exact resources and on its own log group.

locals {
  function_names = {
    authorizer = "${local.prefix}-authorizer"
    connect    = "${local.prefix}-websocket_connect"
    message    = "${local.prefix}-websocket_message"
    disconnect = "${local.prefix}-websocket_disconnect"
    child      = "${local.prefix}-child"
  }

  execution_arns = concat(
    [aws_apigatewayv2_api.websocket_api.execution_arn],
    [for variant in module.variant : variant.execution_arn],
  )

  record = { actions = ["dynamodb:PutItem"], resources = [aws_dynamodb_table.records.arn] }
  query  = { actions = ["dynamodb:Query"], resources = [aws_dynamodb_table.records.arn] }

  post = {
    actions   = ["execute-api:ManageConnections"]
    resources = [for arn in local.execution_arns : "${arn}/${var.stage}/POST/@connections/*"]
  }

  invoke_child = {
    actions   = ["lambda:InvokeFunction"]
    resources = [local.child_arn]
  }

  child_arn = "arn:${data.aws_partition.chalice.partition}:lambda:${data.aws_region.chalice.name}:${data.aws_caller_identity.chalice.account_id}:function:${local.function_names.child}"

  permissions = {
    authorizer = [local.record]
    connect    = [local.record, local.post, local.invoke_child]
    message    = [local.record, local.query, local.post]
    disconnect = [local.record, local.post]
    child      = [local.record, local.post]
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
      resources = statement.value.resources
    }
  }

  statement {
    actions   = ["logs:CreateLogStream", "logs:PutLogEvents"]
    resources = ["${aws_cloudwatch_log_group.this[each.key].arn}:*"]
  }
}

resource "aws_iam_role" "this" {
  for_each = local.function_names

  name               = "${local.prefix}-${each.key}"
  assume_role_policy = data.aws_iam_policy_document.assume.json
}

# A policy apart from the role, because it names the APIs, which need the functions and so the roles.
resource "aws_iam_role_policy" "this" {
  for_each = local.permissions

  name   = "probe"
  role   = aws_iam_role.this[each.key].id
  policy = data.aws_iam_policy_document.this[each.key].json
}
