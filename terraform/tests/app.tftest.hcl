# The functions, their permissions, and the API, with a package for the stage dev:
#
#   TF_WORKSPACE=dev terraform test -filter=tests/app.tftest.hcl

mock_provider "aws" {
  source          = "./tests/aws"
  override_during = plan
}

variables {
  stage              = "dev"
  user_pool_id       = "us-east-1_AbCdEfGhI"
  client_id          = "a-client"
  settings           = {}
  tracing            = true
  log_retention_days = 7
  throttling         = { rate = 1000, burst = 500 }
  access_logs        = false
  domain             = null
  pipeline_function  = null
  media              = null

  tables = {
    for name in ["sessions", "connections", "captions", "rate_limits"] : name => {
      name = "broadcast-sessions-dev-${name}"
      arn  = "arn:aws:dynamodb:us-east-1:123456789012:table/broadcast-sessions-dev-${name}"
    }
  }

  functions = {
    for name in ["authorizer", "connect", "message", "disconnect", "outcome", "publish", "interpreter", "sweep"] :
    name => { memory_mb = 256, timeout_seconds = 29, reserved_concurrency = -1 }
  }
}

# The assertions check the statements of the policy documents, because the JSON is mocked.
run "permissions" {
  command = plan

  module {
    source = "./modules/app"
  }

  assert {
    condition     = alltrue([for name in keys(local.functions) : contains(keys(aws_iam_role_policy.this), name)])
    error_message = "Each function must have its own policy."
  }

  assert {
    condition = alltrue(flatten([
      for document in data.aws_iam_policy_document.this : [
        for statement in document.statement : [
          for action in statement.actions : can(regex("^[a-z0-9-]+:[A-Za-z]+$", action))
        ]
      ]
    ]))
    error_message = "An action contains a wildcard or isn't valid."
  }

  # Wildcards are allowed for the streams of a log group, for connections, and for X-Ray and Translate,
  # whose actions have no resource types that the functions use.
  assert {
    condition = alltrue(flatten([
      for document in data.aws_iam_policy_document.this : [
        for statement in document.statement : [
          for resource in statement.resources : anytrue([
            can(regex("^arn:[^*]+$", resource)),
            can(regex("^arn:aws:logs:[^*]+:log-group:/aws/lambda/[^*]+:\\*$", resource)),
            can(regex("^arn:aws:execute-api:[^*]+/dev/(POST|GET|DELETE)/@connections/\\*$", resource)),
            resource == "*" && toset(statement.actions) == toset(["xray:PutTraceSegments", "xray:PutTelemetryRecords"]),
            resource == "*" && toset(statement.actions) == toset(["translate:TranslateText"]),
          ])
        ]
      ]
    ]))
    error_message = "A resource contains a wildcard that isn't allowed."
  }

  assert {
    condition = alltrue(flatten([
      for document in data.aws_iam_policy_document.this : [
        for statement in document.statement : [
          statement.effect != "Deny",
          length(coalesce(statement.not_actions, [])) == 0,
          length(coalesce(statement.not_resources, [])) == 0,
        ]
      ]
    ]))
    error_message = "A statement uses Deny, NotAction or NotResource, which the other assertions don't check."
  }

  assert {
    condition = alltrue(flatten([
      for statement in data.aws_iam_policy_document.this["authorizer"].statement : [
        for action in statement.actions : anytrue([
          contains(["logs", "xray"], split(":", action)[0]),
          action == "dynamodb:UpdateItem" && toset(statement.resources) == toset([var.tables["rate_limits"].arn]),
        ])
      ]
    ]))
    error_message = "The authorizer has more permissions than for rate limits, logs and traces."
  }

  assert {
    condition = toset([
      for name, document in data.aws_iam_policy_document.this : name if anytrue([
        for statement in document.statement : contains(statement.resources, var.tables["rate_limits"].arn)
      ])
    ]) == toset(["authorizer", "connect", "message"])
    error_message = "Only authorizer, connect and message apply rate limits."
  }

  assert {
    condition = alltrue([
      for principal in data.aws_iam_policy_document.assume.statement[0].principals :
      toset(principal.identifiers) == toset(["lambda.amazonaws.com"])
    ])
    error_message = "Only Lambda should be able to assume a function's role."
  }

  assert {
    condition = toset([
      for name, document in data.aws_iam_policy_document.this : name if anytrue([
        for statement in document.statement : contains(statement.actions, "translate:TranslateText")
      ])
    ]) == toset(["interpreter"])
    error_message = "Only the interpreter translates."
  }

  assert {
    condition = {
      for name, document in data.aws_iam_policy_document.this : name => join(" ", sort(flatten([
        for statement in document.statement : statement.actions if contains(statement.resources, var.tables["captions"].arn)
      ])))
      } == {
      authorizer  = ""
      connect     = ""
      message     = "dynamodb:PutItem dynamodb:Query"
      disconnect  = ""
      outcome     = ""
      publish     = "dynamodb:PutItem"
      interpreter = "dynamodb:PutItem"
      sweep       = ""
    }
    error_message = "Captions are stored by message, publish and interpreter, and read by message alone."
  }

  assert {
    condition = toset([
      for name, document in data.aws_iam_policy_document.this : name if anytrue([
        for statement in document.statement :
        statement.actions == toset(["lambda:InvokeFunction"]) && toset(statement.resources) == toset([local.pipeline_arn])
      ])
    ]) == toset(["connect", "message", "disconnect", "outcome", "sweep"])
    error_message = "The functions that change sessions or the audience invoke the pipeline, and no others."
  }

  assert {
    condition = toset([
      for name, document in data.aws_iam_policy_document.this : name if anytrue([
        for statement in document.statement :
        statement.actions == toset(["lambda:InvokeFunction"]) && alltrue([for resource in statement.resources : endswith(resource, ":function:broadcast-sessions-dev-outcome")])
      ])
    ]) == toset(["connect", "message", "disconnect", "outcome", "publish", "interpreter", "sweep"])
    error_message = "Every function that posts to listeners can leave a part of them to outcome."
  }

  # All statements of publish, apart from those that each function has.
  assert {
    condition = toset([
      for statement in data.aws_iam_policy_document.this["publish"].statement :
      "${join(" ", sort(statement.actions))} ${join(" ", statement.resources)}"
      if !contains(["logs", "xray"], split(":", sort(statement.actions)[0])[0])
      ]) == toset([
      "dynamodb:UpdateItem ${var.tables["sessions"].arn}",
      "dynamodb:UpdateItem ${var.tables["connections"].arn}",
      "dynamodb:Query ${var.tables["connections"].arn}/index/sessionId-targetLanguage-index",
      "dynamodb:PutItem ${var.tables["captions"].arn}",
      "execute-api:ManageConnections arn:aws:execute-api:us-east-1:123456789012:a1b2c3d4e5/dev/POST/@connections/*",
      "lambda:InvokeFunction arn:aws:lambda:us-east-1:123456789012:function:broadcast-sessions-dev-outcome",
    ])
    error_message = "publish has other permissions than it needs."
  }

  assert {
    condition = toset([
      for statement in data.aws_iam_policy_document.this["interpreter"].statement : jsonencode([statement.actions, statement.resources])
      if !strcontains(jsonencode(statement.resources), "log-group")
      ]) == setunion(toset([
        for statement in data.aws_iam_policy_document.this["publish"].statement : jsonencode([statement.actions, statement.resources])
        if !strcontains(jsonencode(statement.resources), "log-group")
    ]), toset([jsonencode([["translate:TranslateText"], ["*"]])]))
    error_message = "Without speech, the interpreter has the permissions of publish, and translates."
  }
}

run "speech" {
  command = plan

  module {
    source = "./modules/app"
  }

  variables {
    media = { bucket = "a-bucket", arn = "arn:aws:s3:::a-bucket", url = "https://d1a2b3c4d5.cloudfront.net" }
  }

  assert {
    condition = toset(flatten([
      for name, document in data.aws_iam_policy_document.this : [
        for statement in document.statement : [
          for action in statement.actions : "${name} ${action} ${join(" ", statement.resources)}"
          if contains(["polly", "s3"], split(":", action)[0])
        ]
      ]
    ])) == toset(["interpreter polly:SynthesizeSpeech *", "interpreter s3:PutObject arn:aws:s3:::a-bucket/*"])
    error_message = "The interpreter alone speaks, and writes only objects of the bucket."
  }

  assert {
    condition = (
      aws_lambda_function.interpreter[0].environment[0].variables["SPEECH"] == "on" &&
      aws_lambda_function.interpreter[0].environment[0].variables["MEDIA_BUCKET"] == "a-bucket" &&
      aws_lambda_function.interpreter[0].environment[0].variables["MEDIA_URL"] == "https://d1a2b3c4d5.cloudfront.net"
    )
    error_message = "The interpreter doesn't know the bucket for audio."
  }

  assert {
    condition     = toset([for name, function in local.functions : name if contains(keys(function.environment[0].variables), "SPEECH")]) == toset(["interpreter"])
    error_message = "A function that doesn't speak has the settings of speech."
  }
}

run "another_pipeline" {
  command = plan

  module {
    source = "./modules/app"
  }

  variables {
    pipeline_function = "arn:aws:lambda:us-east-1:210987654321:function:my-pipeline:live"
  }

  assert {
    condition = toset(flatten([
      for name in ["connect", "message", "disconnect", "outcome", "sweep"] : [
        for statement in data.aws_iam_policy_document.this[name].statement : [
          for resource in statement.resources : resource if statement.actions == toset(["lambda:InvokeFunction"])
        ]
      ]
      ])) == toset([
      "arn:aws:lambda:us-east-1:123456789012:function:broadcast-sessions-dev-outcome",
      "arn:aws:lambda:us-east-1:210987654321:function:my-pipeline:live",
    ])
    error_message = "The functions can't invoke the pipeline, or can invoke another function."
  }

  assert {
    condition = alltrue([
      for name, function in local.functions : function.environment[0].variables["PIPELINE_FUNCTION"] == var.pipeline_function if name != "authorizer"
    ])
    error_message = "PIPELINE_FUNCTION must be the ARN."
  }

  assert {
    condition     = !contains(keys(local.functions), "interpreter") && !contains(keys(aws_iam_role.this), "interpreter") && !contains(keys(aws_cloudwatch_log_group.this), "interpreter")
    error_message = "Nothing invokes the interpreter, so it must not be deployed."
  }
}

run "a_pipeline_by_name" {
  command = plan

  module {
    source = "./modules/app"
  }

  variables {
    pipeline_function = "my-pipeline"
  }

  assert {
    condition = anytrue([
      for statement in data.aws_iam_policy_document.this["sweep"].statement :
      toset(statement.resources) == toset(["arn:aws:lambda:us-east-1:123456789012:function:my-pipeline"])
    ])
    error_message = "A function that is named must be one of this account and region."
  }
}

run "no_pipeline" {
  command = plan

  module {
    source = "./modules/app"
  }

  variables {
    pipeline_function = ""
  }

  assert {
    condition = toset(flatten([
      for document in data.aws_iam_policy_document.this : [
        for statement in document.statement : [
          for resource in statement.resources : resource if statement.actions == toset(["lambda:InvokeFunction"])
        ]
      ]
    ])) == toset(["arn:aws:lambda:us-east-1:123456789012:function:broadcast-sessions-dev-outcome"])
    error_message = "Without a pipeline, functions invoke only outcome."
  }

  assert {
    condition     = alltrue([for function in local.functions : !contains(keys(function.environment[0].variables), "PIPELINE_FUNCTION")])
    error_message = "Without a pipeline, PIPELINE_FUNCTION must not be set."
  }

  assert {
    condition     = !contains(keys(local.functions), "interpreter")
    error_message = "Without a pipeline, the interpreter must not be deployed."
  }
}

run "without_tracing" {
  command = plan

  module {
    source = "./modules/app"
  }

  variables {
    tracing = false
  }

  assert {
    condition = toset(flatten([
      for document in data.aws_iam_policy_document.this : [
        for statement in document.statement : statement.actions if contains(statement.resources, "*")
      ]
    ])) == toset(["translate:TranslateText"])
    error_message = "Without tracing, only translations need the resource *."
  }
}

run "authorizer" {
  command = plan

  module {
    source = "./modules/app"
  }

  assert {
    condition     = aws_apigatewayv2_authorizer.this.authorizer_type == "REQUEST"
    error_message = "WebSocket APIs support only REQUEST authorizers."
  }

  assert {
    condition     = length(coalesce(aws_apigatewayv2_authorizer.this.identity_sources, [])) == 0
    error_message = "With an identity source, API Gateway refuses listeners without a token with status 401."
  }

  assert {
    condition = (
      aws_apigatewayv2_route.websocket_connect_route.authorization_type == "CUSTOM" &&
      aws_apigatewayv2_route.websocket_connect_route.authorizer_id == aws_apigatewayv2_authorizer.this.id
    )
    error_message = "The route $connect has no authorizer."
  }

  assert {
    condition     = endswith(aws_lambda_permission.authorizer.source_arn, ":a1b2c3d4e5/authorizers/f6g7h8")
    error_message = "API Gateway needs permission to invoke the authorizer, for this authorizer only. Without it, every connect fails with status 500."
  }
}

run "route_response" {
  command = plan

  module {
    source = "./modules/app"
  }

  assert {
    condition     = aws_apigatewayv2_route.websocket_message_route.route_response_selection_expression == "$default"
    error_message = "Without the selection expression, API Gateway discards replies."
  }

  assert {
    condition     = aws_apigatewayv2_route_response.message.route_response_key == "$default"
    error_message = "Without the route response, API Gateway discards replies."
  }
}

run "throttling" {
  command = plan

  module {
    source = "./modules/app"
  }

  assert {
    condition = (
      aws_apigatewayv2_stage.websocket_api_stage.default_route_settings[0].throttling_rate_limit == 1000 &&
      aws_apigatewayv2_stage.websocket_api_stage.default_route_settings[0].throttling_burst_limit == 500
    )
    error_message = "Without one of the two limits, API Gateway refuses every connect with status 429."
  }

  assert {
    condition     = aws_apigatewayv2_stage.websocket_api_stage.name == "dev"
    error_message = "The API's stage must have the name of the stage."
  }
}

run "functions" {
  command = plan

  module {
    source = "./modules/app"
  }

  variables {
    functions = {
      for name in ["authorizer", "connect", "message", "disconnect", "outcome", "publish", "interpreter", "sweep"] :
      name => { memory_mb = 512, timeout_seconds = 7, reserved_concurrency = 3 }
    }
  }

  assert {
    condition = alltrue([
      for function in local.functions :
      function.memory_size == 512 && function.timeout == 7 && function.reserved_concurrent_executions == 3
    ])
    error_message = "The memory, timeout or reserved concurrency of a function differs from the variable."
  }

  assert {
    condition     = alltrue([for function in local.functions : function.tracing_config[0].mode == "Active"])
    error_message = "A function isn't traced."
  }

  assert {
    condition = alltrue([
      for name, function in local.functions :
      function.logging_config[0].log_group == aws_cloudwatch_log_group.this[name].name &&
      aws_cloudwatch_log_group.this[name].retention_in_days == 7
    ])
    error_message = "A function doesn't log to its log group with the configured retention."
  }

  assert {
    condition     = alltrue([for function in local.functions : startswith(function.function_name, "broadcast-sessions-dev-")])
    error_message = "A function's name doesn't contain the stage. Check that the package was built for dev."
  }

  assert {
    condition = alltrue([
      for name, config in {
        interpreter = aws_lambda_function_event_invoke_config.interpreter[0]
        outcome     = aws_lambda_function_event_invoke_config.outcome
        sweep       = aws_lambda_function_event_invoke_config.sweep
      } :
      config.function_name == local.functions[name].function_name && config.maximum_retry_attempts == 0 && config.maximum_event_age_in_seconds == 60
    ])
    error_message = "Late invocations of interpreter, outcome and sweep are of no use and must not be retried."
  }
}

run "environments" {
  command = plan

  module {
    source = "./modules/app"
  }

  variables {
    settings = { CAPTIONS_KEPT_SECONDS = 0, LOG_LEVEL = "WARNING", MAX_LISTENERS_PER_SESSION = 7, RATE_LIMIT_HEARTBEATS_PER_MIN = 9 }
  }

  assert {
    condition = toset(keys(aws_lambda_function.authorizer.environment[0].variables)) == toset([
      "COGNITO_CLIENT_ID", "COGNITO_USER_POOL_ID", "HASH_KEY", "LOG_LEVEL", "RATE_LIMITS_TABLE",
      "RATE_LIMIT_HEARTBEATS_PER_MIN", "STAGE",
    ])
    error_message = "The authorizer's environment contains more than it needs, or less."
  }

  assert {
    condition = alltrue([
      for name, function in local.functions : toset(keys(function.environment[0].variables)) == toset([
        "CAPTIONS_KEPT_SECONDS", "CAPTIONS_TABLE", "CONNECTIONS_TABLE", "CONNECTIONS_URL", "HASH_KEY", "LOG_LEVEL",
        "MAX_LISTENERS_PER_SESSION", "OUTCOME_FUNCTION", "PIPELINE_FUNCTION", "RATE_LIMITS_TABLE",
        "RATE_LIMIT_HEARTBEATS_PER_MIN", "SESSIONS_TABLE", "STAGE",
      ]) if name != "authorizer"
    ])
    error_message = "A function's environment contains more than it needs, or less."
  }

  assert {
    condition = alltrue([
      for function in local.functions :
      function.environment[0].variables["STAGE"] == "dev" && function.environment[0].variables["LOG_LEVEL"] == "WARNING"
    ])
    error_message = "A function has the wrong stage or log level."
  }

  assert {
    condition     = aws_lambda_function.websocket_message.environment[0].variables["PIPELINE_FUNCTION"] == aws_lambda_function.interpreter[0].function_name
    error_message = "By default, the stack's own interpreter is the pipeline."
  }

  assert {
    condition = alltrue([
      for function in local.functions : issensitive(function.environment[0].variables["HASH_KEY"])
    ])
    error_message = "Plans must not show HASH_KEY."
  }
}

run "schedule" {
  command = plan

  module {
    source = "./modules/app"
  }

  assert {
    condition     = aws_cloudwatch_event_rule.sweep-event.name == "broadcast-sessions-dev-sweep-event"
    error_message = "The rule's name doesn't contain the stage, and stages would share the rule."
  }

  assert {
    condition = (
      aws_cloudwatch_event_rule.sweep-event.schedule_expression == "rate(1 minute)" &&
      aws_cloudwatch_event_target.sweep-event.rule == aws_cloudwatch_event_rule.sweep-event.name &&
      aws_cloudwatch_event_target.sweep-event.arn == aws_lambda_function.sweep.arn &&
      aws_lambda_permission.sweep-event.source_arn == aws_cloudwatch_event_rule.sweep-event.arn
    )
    error_message = "The sweep doesn't run every minute."
  }
}

run "access_logs" {
  command = plan

  module {
    source = "./modules/app"
  }

  variables {
    access_logs = true
  }

  assert {
    condition     = aws_cloudwatch_log_group.access[0].retention_in_days == 7
    error_message = "The access log has no retention."
  }

  assert {
    condition     = try(aws_apigatewayv2_stage.websocket_api_stage.access_log_settings[0].destination_arn == aws_cloudwatch_log_group.access[0].arn, false)
    error_message = "The API has no access log."
  }

  assert {
    condition = alltrue([
      for secret in ["querystring", "token"] :
      try(!strcontains(lower(aws_apigatewayv2_stage.websocket_api_stage.access_log_settings[0].format), secret), false)
    ])
    error_message = "The access log contains a field that can contain a token."
  }
}

run "without_access_logs" {
  command = plan

  module {
    source = "./modules/app"
  }

  assert {
    condition     = length(aws_apigatewayv2_stage.websocket_api_stage.access_log_settings) == 0
    error_message = "Access logs need an account-wide role, so they must be off by default."
  }
}

run "domain" {
  command = plan

  module {
    source = "./modules/app"
  }

  variables {
    domain = {
      name            = "live.example.com"
      certificate_arn = "arn:aws:acm:us-east-1:123456789012:certificate/a"
    }
  }

  assert {
    condition     = aws_apigatewayv2_domain_name.this[0].domain_name_configuration[0].security_policy == "TLS_1_2"
    error_message = "The domain must require at least TLS 1.2."
  }

  assert {
    condition     = output.url == "wss://live.example.com"
    error_message = "The URL for clients doesn't contain the custom domain."
  }
}
