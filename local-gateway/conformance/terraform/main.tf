# The probe on AWS: Chalice's functions and API (the variant two_way), further variants of the API
# with the same functions, and the table of records.

provider "aws" {
  default_tags {
    tags = {
      application = "conformance-probe"
      run         = var.run
    }
  }
}

locals {
  prefix = "conformance-probe-${var.run}"

  functions = {
    authorizer = aws_lambda_function.authorizer
    connect    = aws_lambda_function.websocket_connect
    message    = aws_lambda_function.websocket_message
    disconnect = aws_lambda_function.websocket_disconnect
  }

  routes = {
    "$connect"    = "connect"
    "$default"    = "message"
    "$disconnect" = "disconnect"
  }

  variants = {
    one_way            = { routes = keys(local.routes) }
    connect_only       = { routes = ["$connect"] }
    default_only       = { routes = ["$default"], has_route_response = true }
    identity_source    = { routes = keys(local.routes), identity_sources = ["route.request.querystring.token"] }
    throttled          = { routes = ["$connect"], throttling = { rate = 0, burst = 0 } }
    without_permission = { routes = ["$connect"], is_permitted = false }
  }

  environment = merge(
    {
      RECORDS_TABLE  = aws_dynamodb_table.records.name
      CHILD_FUNCTION = local.function_names.child
    },
    var.management_url == "" ? {} : { MANAGEMENT_URL = var.management_url },
  )
}

module "variant" {
  source   = "./modules/variant"
  for_each = local.variants

  name               = "${local.prefix}-${each.key}"
  stage              = var.stage
  throttling         = try(each.value.throttling, var.throttling)
  routes             = { for key in each.value.routes : key => local.functions[local.routes[key]] }
  is_permitted       = try(each.value.is_permitted, true)
  has_route_response = try(each.value.has_route_response, false)
  authorizer         = aws_lambda_function.authorizer
  identity_sources   = try(each.value.identity_sources, null)
}

resource "aws_dynamodb_table" "records" {
  name         = "${local.prefix}-records"
  billing_mode = "PAY_PER_REQUEST"
  hash_key     = "subject"
  range_key    = "position"

  attribute {
    name = "subject"
    type = "S"
  }

  attribute {
    name = "position"
    type = "S"
  }
}

# Created here and not by Lambda, because Terraform would leave Lambda's own log groups behind.
resource "aws_cloudwatch_log_group" "this" {
  for_each = local.function_names

  name              = "/aws/lambda/${each.value}"
  retention_in_days = 1
}
