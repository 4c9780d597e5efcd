# Saved queries of the functions' logs. chalicelib/telemetry.py defines the fields of the log lines.
# Replace the value in quotes below a comment before you run a query. With LOG_LEVEL = WARNING, the
# logs contain only refusals and failures.

locals {
  queries = {
    "a session's story" = <<-QUERY
      # Replace the session ID:
      filter sessionId = "golden-eagle-427"
      | fields time, event, operation, correlation, code, durationMs, message, cause, reason, caption, language
      | sort time asc
      | limit 10000
    QUERY

    "a caption's way" = <<-QUERY
      # Replace the caption with that of a line of "a session's story". A caption and its translations
      # have the same one.
      filter caption = "0123456789abcdef"
      | fields time, @log, message, event, operation, sessionId, language, seq, durationMs, reached, gone, failed, code, cause
      | sort time asc
      | limit 10000
    QUERY

    "a listener's story" = <<-QUERY
      # Replace the correlation with that of the listener, from a line of "a session's story". It
      # stays the same when a listener refreshes the connection.
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

  # CloudWatch shows the part before the slash as a folder.
  name            = "${var.name_prefix}/${each.key}"
  log_group_names = [for function in var.functions : function.log_group]
  query_string    = each.value
}
