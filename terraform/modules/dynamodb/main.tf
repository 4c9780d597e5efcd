locals {
  tables = jsondecode(file(var.schema_file))

  # A table must declare each attribute of its own key and of its indexes' keys exactly once.
  attributes = {
    for name, table in local.tables : name => {
      for key in concat(
        [table.partition_key],
        [for key in [lookup(table, "sort_key", null)] : key if key != null],
        flatten([for index in table.indexes : [index.partition_key, index.sort_key]])
      ) : key.name => key.type
    }
  }

  # A backup would keep data that must not outlive its TTL for another 35 days: the hashes of addresses
  # in rate_limits, and the spoken words in captions, which are kept for 10 minutes.
  unrecoverable = ["captions", "rate_limits"]
}

resource "aws_dynamodb_table" "this" {
  for_each = local.tables

  name                        = "${var.name_prefix}-${each.key}"
  billing_mode                = "PAY_PER_REQUEST"
  hash_key                    = each.value.partition_key.name
  range_key                   = try(each.value.sort_key.name, null)
  deletion_protection_enabled = var.deletion_protection

  dynamic "attribute" {
    for_each = local.attributes[each.key]

    content {
      name = attribute.key
      type = attribute.value
    }
  }

  dynamic "global_secondary_index" {
    for_each = each.value.indexes

    content {
      name            = global_secondary_index.value.name
      hash_key        = global_secondary_index.value.partition_key.name
      range_key       = global_secondary_index.value.sort_key.name
      projection_type = global_secondary_index.value.projection
    }
  }

  ttl {
    attribute_name = each.value.ttl_attribute
    enabled        = true
  }

  point_in_time_recovery {
    enabled = var.point_in_time_recovery && !contains(local.unrecoverable, each.key)
  }

  # DynamoDB encrypts every table. false selects a key that AWS owns.
  # Source: "DynamoDB encryption at rest", Amazon DynamoDB Developer Guide.
  server_side_encryption {
    enabled = var.managed_key
  }
}
