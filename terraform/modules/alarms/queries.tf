# What an operator asks of the functions' logs. The words are those of the log lines
# (chalicelib/telemetry.py); what is to be replaced stands in quotes, in the line after its comment.
# At LOG_LEVEL WARNING there are only the lines about what went wrong.

locals {
  queries = {
    "a session's story" = <<-QUERY
      # The session's id:
      filter sessionId = "golden-eagle-427"
      | fields time, event, operation, correlation, code, durationMs, message, cause, reason
      | sort time asc
      | limit 10000
    QUERY

    "a listener's story" = <<-QUERY
      # His correlation, from a line of his session's story; it stays the same when he refreshes:
      filter correlation = "0123456789abcdef"
      | fields time, event, operation, connection, sessionId, code, durationMs, message, cause
      | sort time asc
      | limit 10000
    QUERY

    "the slowest joins" = <<-QUERY
      filter message = "event handled" and operation = "joinSession"
      | fields time, durationMs, event, sessionId, correlation, code, coldStart
      | sort durationMs desc
      | limit 100
    QUERY

    "refusals by cause" = <<-QUERY
      filter message = "refused"
      | stats count(*) as refusals by event, operation, code, cause, field
      | sort refusals desc
    QUERY

    "what notices did" = <<-QUERY
      filter message = "fan-out done"
      | fields time, sessionId, event, operation, reached, gone, failed, durationMs
      | sort time desc
      | limit 1000
    QUERY

    "what has gone wrong" = <<-QUERY
      filter level = "ERROR" or (level = "WARNING" and message != "refused") or @message like /Task timed out/
      | fields time, @log, message, event, operation, sessionId, dependency, code, cause, error, @message
      | sort time desc
      | limit 1000
    QUERY
  }
}

resource "aws_cloudwatch_query_definition" "this" {
  for_each = { for name, query in local.queries : name => query if var.saved_queries }

  # CloudWatch makes a folder of what stands before the slash.
  name            = "${var.name_prefix}/${each.key}"
  log_group_names = [for function in var.functions : function.log_group]
  query_string    = each.value
}
