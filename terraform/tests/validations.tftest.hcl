# The values that variables.tf refuses. In the workspace dev:
#
#   TF_WORKSPACE=dev terraform test -filter=tests/validations.tftest.hcl
#
# tests/terraform/test_plans.py runs this file with variables.tf alone, which takes 5 s instead of 5
# minutes.

mock_provider "aws" {
  source          = "./tests/aws"
  override_during = plan
}

variables {
  stage = "dev"
}

run "stage_differs_from_workspace" {
  command = plan

  variables {
    stage = "prod"
  }

  expect_failures = [var.stage]
}

run "region_invalid" {
  command = plan

  variables {
    region = "Frankfurt"
  }

  expect_failures = [var.region]
}

run "region_of_china" {
  command = plan

  variables {
    region = "cn-north-1"
  }

  expect_failures = [var.region]
}

run "region_of_iso" {
  command = plan

  variables {
    region = "us-iso-east-1"
  }

  expect_failures = [var.region]
}

run "region_of_isob" {
  command = plan

  variables {
    region = "us-isob-east-1"
  }

  expect_failures = [var.region]
}

run "region_of_isoe" {
  command = plan

  variables {
    region = "eu-isoe-west-1"
  }

  expect_failures = [var.region]
}

run "region_of_eusc" {
  command = plan

  variables {
    region = "eusc-de-east-1"
  }

  expect_failures = [var.region]
}

run "setting_unknown" {
  command = plan

  variables {
    settings = { MAX_LISTENER = 500 }
  }

  expect_failures = [var.settings]
}

run "setting_negative" {
  command = plan

  variables {
    settings = { MAX_LISTENERS_PER_SESSION = -1 }
  }

  expect_failures = [var.settings]
}

run "setting_not_a_number" {
  command = plan

  variables {
    settings = { SESSION_MAX_DURATION_HOURS = "two" }
  }

  expect_failures = [var.settings]
}

run "setting_not_whole" {
  command = plan

  variables {
    settings = { MAX_LISTENERS_PER_SESSION = 1.5 }
  }

  expect_failures = [var.settings]
}

run "rate_limit_not_whole" {
  command = plan

  variables {
    settings = { RATE_LIMIT_LISTENER_JOINS_PER_MIN = 1.5 }
  }

  expect_failures = [var.settings]
}

run "grace_zero" {
  command = plan

  variables {
    settings = { SPEAKER_GRACE_SECONDS = 0 }
  }

  expect_failures = [var.settings]
}

run "setting_too_large" {
  command = plan

  variables {
    settings = { RATE_LIMIT_CONNECTIONS_PER_MIN = 1000000001 }
  }

  expect_failures = [var.settings]
}

run "listeners_more_than_supported" {
  command = plan

  variables {
    settings = { MAX_LISTENERS_PER_SESSION = 10001 }
  }

  expect_failures = [var.settings]
}

run "session_shorter_than_a_second" {
  command = plan

  variables {
    settings = { SESSION_MAX_DURATION_HOURS = 0.0001 }
  }

  expect_failures = [var.settings]
}

run "refresh_after_the_connection_lifetime" {
  command = plan

  variables {
    settings = { CONNECTION_REFRESH_MINUTES = 200 }
  }

  expect_failures = [var.settings]
}

run "refresh_at_the_time_of_the_warning" {
  command = plan

  variables {
    settings = { CONNECTION_REFRESH_MINUTES = 105 }
  }

  expect_failures = [var.settings]
}

run "warning_before_the_refresh" {
  command = plan

  variables {
    settings = { CONNECTION_WARNING_MINUTES = 99.5 }
  }

  expect_failures = [var.settings]
}

run "warning_at_the_connection_lifetime" {
  command = plan

  variables {
    settings = { CONNECTION_WARNING_MINUTES = 120 }
  }

  expect_failures = [var.settings]
}

run "interval_above_a_third_of_the_timeout" {
  command = plan

  variables {
    settings = { HEARTBEAT_INTERVAL_SECONDS = 31 }
  }

  expect_failures = [var.settings]
}

run "timeout_below_three_intervals" {
  command = plan

  variables {
    settings = { HEARTBEAT_TIMEOUT_SECONDS = 89 }
  }

  expect_failures = [var.settings]
}

run "interval_that_exceeds_the_heartbeat_limit" {
  command = plan

  variables {
    settings = { HEARTBEAT_INTERVAL_SECONDS = 29 }
  }

  expect_failures = [var.settings]
}

run "heartbeat_limit_below_the_interval" {
  command = plan

  variables {
    settings = { RATE_LIMIT_HEARTBEATS_PER_MIN = 1 }
  }

  expect_failures = [var.settings]
}

run "settled_interval_below_the_interval" {
  command = plan

  variables {
    settings = { HEARTBEAT_SETTLED_SECONDS = 29 }
  }

  expect_failures = [var.settings]
}

run "settled_interval_above_the_idle_timeout" {
  command = plan

  variables {
    settings = { HEARTBEAT_SETTLED_SECONDS = 600 }
  }

  expect_failures = [var.settings]
}

run "close_grace_longer_than_the_grace" {
  command = plan

  variables {
    settings = { SPEAKER_CLOSE_GRACE_SECONDS = 60.5 }
  }

  expect_failures = [var.settings]
}

run "interval_above_the_idle_timeout" {
  command = plan

  variables {
    settings = { HEARTBEAT_INTERVAL_SECONDS = 600, HEARTBEAT_SETTLED_SECONDS = 600, HEARTBEAT_TIMEOUT_SECONDS = 1800 }
  }

  expect_failures = [var.settings]
}

run "user_pool_of_china" {
  command = plan

  variables {
    existing_user_pool = { user_pool_id = "cn-north-1_AbCdEfGhI", client_id = "a" }
  }

  expect_failures = [var.existing_user_pool]
}

run "alarms_unknown" {
  command = plan

  variables {
    alarms = "some"
  }

  expect_failures = [var.alarms]
}

run "client_id_invalid" {
  command = plan

  variables {
    existing_user_pool = { user_pool_id = "eu-central-1_AbCdEfGhI", client_id = "my client" }
  }

  expect_failures = [var.existing_user_pool]
}

run "log_level_unknown" {
  command = plan

  variables {
    settings = { LOG_LEVEL = "LOUD" }
  }

  expect_failures = [var.settings]
}

run "memory_of_unknown_function" {
  command = plan

  variables {
    memory_mb = { conect = 512 }
  }

  expect_failures = [var.memory_mb]
}

run "memory_too_small" {
  command = plan

  variables {
    memory_mb = { connect = 127 }
  }

  expect_failures = [var.memory_mb]
}

run "memory_too_large" {
  command = plan

  variables {
    memory_mb = { connect = 10241 }
  }

  expect_failures = [var.memory_mb]
}

run "memory_not_whole" {
  command = plan

  variables {
    memory_mb = { connect = 512.5 }
  }

  expect_failures = [var.memory_mb]
}

run "timeout_of_unknown_function" {
  command = plan

  variables {
    timeout_seconds = { weep = 10 }
  }

  expect_failures = [var.timeout_seconds]
}

run "timeout_of_a_minute" {
  command = plan

  variables {
    timeout_seconds = { message = 60 }
  }

  expect_failures = [var.timeout_seconds]
}

run "timeout_of_30_seconds" {
  command = plan

  variables {
    timeout_seconds = { message = 30 }
  }

  expect_failures = [var.timeout_seconds]
}

run "timeout_of_connect_too_short" {
  command = plan

  variables {
    timeout_seconds = { connect = 24 }
  }

  expect_failures = [var.timeout_seconds]
}

run "timeout_of_message_too_short" {
  command = plan

  variables {
    timeout_seconds = { message = 24 }
  }

  expect_failures = [var.timeout_seconds]
}

run "timeout_of_disconnect_too_short" {
  command = plan

  variables {
    timeout_seconds = { disconnect = 24 }
  }

  expect_failures = [var.timeout_seconds]
}

run "timeout_negative" {
  command = plan

  variables {
    timeout_seconds = { message = -1 }
  }

  expect_failures = [var.timeout_seconds]
}

run "timeout_zero" {
  command = plan

  variables {
    timeout_seconds = { message = 0 }
  }

  expect_failures = [var.timeout_seconds]
}

run "timeout_not_whole" {
  command = plan

  variables {
    timeout_seconds = { message = 2.5 }
  }

  expect_failures = [var.timeout_seconds]
}

run "timeout_of_sweep_too_short" {
  command = plan

  variables {
    timeout_seconds = { sweep = 119 }
  }

  expect_failures = [var.timeout_seconds]
}

run "timeout_of_sweep_too_long" {
  command = plan

  variables {
    timeout_seconds = { sweep = 901 }
  }

  expect_failures = [var.timeout_seconds]
}

run "timeout_of_sweep_not_whole" {
  command = plan

  variables {
    timeout_seconds = { sweep = 150.5 }
  }

  expect_failures = [var.timeout_seconds]
}

run "concurrency_of_unknown_function" {
  command = plan

  variables {
    reserved_concurrency = { everything = 10 }
  }

  expect_failures = [var.reserved_concurrency]
}

run "concurrency_zero" {
  command = plan

  variables {
    reserved_concurrency = { connect = 0 }
  }

  expect_failures = [var.reserved_concurrency]
}

run "concurrency_negative" {
  command = plan

  variables {
    reserved_concurrency = { connect = -1 }
  }

  expect_failures = [var.reserved_concurrency]
}

run "concurrency_not_whole" {
  command = plan

  variables {
    reserved_concurrency = { connect = 1.5 }
  }

  expect_failures = [var.reserved_concurrency]
}

run "log_retention_unsupported" {
  command = plan

  variables {
    log_retention_days = 2
  }

  expect_failures = [var.log_retention_days]
}

run "log_retention_unlimited" {
  command = plan

  variables {
    log_retention_days = 0
  }

  expect_failures = [var.log_retention_days]
}

run "throttling_rate_zero" {
  command = plan

  variables {
    throttling = { rate = 0, burst = 1000 }
  }

  expect_failures = [var.throttling]
}

run "throttling_burst_zero" {
  command = plan

  variables {
    throttling = { rate = 1000, burst = 0 }
  }

  expect_failures = [var.throttling]
}

run "throttling_negative" {
  command = plan

  variables {
    throttling = { rate = -1, burst = 1000 }
  }

  expect_failures = [var.throttling]
}

run "domain_with_scheme" {
  command = plan

  variables {
    domain = {
      name            = "wss://live.example.com"
      certificate_arn = "arn:aws:acm:us-east-1:123456789012:certificate/a"
    }
  }

  expect_failures = [var.domain]
}

run "certificate_arn_invalid" {
  command = plan

  variables {
    domain = { name = "live.example.com", certificate_arn = "arn:aws:iam::123456789012:server-certificate/a" }
  }

  expect_failures = [var.domain]
}

run "user_pool_id_invalid" {
  command = plan

  variables {
    existing_user_pool = { user_pool_id = "speakers", client_id = "a" }
  }

  expect_failures = [var.existing_user_pool]
}

run "mfa_unknown" {
  command = plan

  variables {
    mfa = "SMS"
  }

  expect_failures = [var.mfa]
}

run "tokens_too_short" {
  command = plan

  variables {
    token_minutes = 4
  }

  expect_failures = [var.token_minutes]
}

run "tokens_too_long" {
  command = plan

  variables {
    token_minutes = 1441
  }

  expect_failures = [var.token_minutes]
}

run "refresh_too_short" {
  command = plan

  variables {
    refresh_token_days = 0
  }

  expect_failures = [var.refresh_token_days]
}

run "refresh_too_long" {
  command = plan

  variables {
    refresh_token_days = 3651
  }

  expect_failures = [var.refresh_token_days]
}

run "password_too_short" {
  command = plan

  variables {
    password_minimum_length = 7
  }

  expect_failures = [var.password_minimum_length]
}

run "password_too_long" {
  command = plan

  variables {
    password_minimum_length = 100
  }

  expect_failures = [var.password_minimum_length]
}

run "email_without_at" {
  command = plan

  variables {
    alarm_emails = ["operations.example.com"]
  }

  expect_failures = [var.alarm_emails]
}

run "email_without_domain" {
  command = plan

  variables {
    alarm_emails = ["operations@example.com", "operations@localhost"]
  }

  expect_failures = [var.alarm_emails]
}

run "max_active_sessions_zero" {
  command = plan

  variables {
    max_active_sessions = 0
  }

  expect_failures = [var.max_active_sessions]
}

run "max_active_sessions_not_whole" {
  command = plan

  variables {
    max_active_sessions = 1.5
  }

  expect_failures = [var.max_active_sessions]
}

run "sign_in_page_with_a_full_domain" {
  command = plan

  variables {
    sign_in_page = { domain_prefix = "auth.example.com", callback_urls = ["https://live.example.com/"], logout_urls = [] }
  }

  expect_failures = [var.sign_in_page]
}

run "sign_in_page_with_a_hyphen_at_the_end" {
  command = plan

  variables {
    sign_in_page = { domain_prefix = "my-hall-", callback_urls = ["https://live.example.com/"], logout_urls = [] }
  }

  expect_failures = [var.sign_in_page]
}

run "sign_in_page_with_a_prefix_that_is_too_long" {
  command = plan

  variables {
    sign_in_page = { domain_prefix = join("", [for _ in range(64) : "a"]), callback_urls = ["https://live.example.com/"], logout_urls = [] }
  }

  expect_failures = [var.sign_in_page]
}

run "sign_in_page_with_aws_in_the_prefix" {
  command = plan

  variables {
    sign_in_page = { domain_prefix = "laws", callback_urls = ["https://live.example.com/"], logout_urls = [] }
  }

  expect_failures = [var.sign_in_page]
}

run "sign_in_page_with_amazon_in_the_prefix" {
  command = plan

  variables {
    sign_in_page = { domain_prefix = "amazon-hall", callback_urls = ["https://live.example.com/"], logout_urls = [] }
  }

  expect_failures = [var.sign_in_page]
}

run "sign_in_page_with_cognito_in_the_prefix" {
  command = plan

  variables {
    sign_in_page = { domain_prefix = "mycognito", callback_urls = ["https://live.example.com/"], logout_urls = [] }
  }

  expect_failures = [var.sign_in_page]
}

run "sign_in_page_without_callback_urls" {
  command = plan

  variables {
    sign_in_page = { domain_prefix = "my-hall", callback_urls = [], logout_urls = [] }
  }

  expect_failures = [var.sign_in_page]
}

run "sign_in_page_with_too_many_callback_urls" {
  command = plan

  variables {
    sign_in_page = { domain_prefix = "my-hall", callback_urls = [for number in range(101) : "https://live.example.com/${number}"], logout_urls = [] }
  }

  expect_failures = [var.sign_in_page]
}

run "sign_in_page_with_an_http_callback_url" {
  command = plan

  variables {
    sign_in_page = { domain_prefix = "my-hall", callback_urls = ["http://live.example.com/"], logout_urls = [] }
  }

  expect_failures = [var.sign_in_page]
}

run "sign_in_page_with_a_host_that_resembles_localhost" {
  command = plan

  variables {
    sign_in_page = { domain_prefix = "my-hall", callback_urls = ["http://localhost.example.com/"], logout_urls = [] }
  }

  expect_failures = [var.sign_in_page]
}

run "sign_in_page_with_a_fragment" {
  command = plan

  variables {
    sign_in_page = { domain_prefix = "my-hall", callback_urls = ["https://live.example.com/#signed-in"], logout_urls = [] }
  }

  expect_failures = [var.sign_in_page]
}

run "sign_in_page_with_a_callback_url_that_is_too_long" {
  command = plan

  variables {
    sign_in_page = { domain_prefix = "my-hall", callback_urls = ["https://live.example.com/${join("", [for _ in range(1000) : "a"])}"], logout_urls = [] }
  }

  expect_failures = [var.sign_in_page]
}

run "sign_in_page_with_an_http_logout_url" {
  command = plan

  variables {
    sign_in_page = { domain_prefix = "my-hall", callback_urls = ["https://live.example.com/"], logout_urls = ["http://live.example.com/"] }
  }

  expect_failures = [var.sign_in_page]
}

run "sign_in_page_with_too_many_logout_urls" {
  command = plan

  variables {
    sign_in_page = { domain_prefix = "my-hall", callback_urls = ["https://live.example.com/"], logout_urls = [for number in range(101) : "https://live.example.com/${number}"] }
  }

  expect_failures = [var.sign_in_page]
}

run "sign_in_page_for_an_existing_user_pool" {
  command = plan

  variables {
    existing_user_pool = { user_pool_id = "eu-central-1_AbCdEfGhI", client_id = "a" }
    sign_in_page       = { domain_prefix = "my-hall", callback_urls = ["https://live.example.com/"], logout_urls = [] }
  }

  expect_failures = [var.sign_in_page]
}

run "captions_kept_negative" {
  command = plan

  variables {
    settings = { CAPTIONS_KEPT_SECONDS = -1 }
  }

  expect_failures = [var.settings]
}

run "captions_kept_not_whole" {
  command = plan

  variables {
    settings = { CAPTIONS_KEPT_SECONDS = 0.5 }
  }

  expect_failures = [var.settings]
}

run "captions_kept_too_long" {
  command = plan

  variables {
    settings = { CAPTIONS_KEPT_SECONDS = 1000000001 }
  }

  expect_failures = [var.settings]
}

run "caption_limit_zero" {
  command = plan

  variables {
    settings = { RATE_LIMIT_CAPTIONS_PER_MIN = 0 }
  }

  expect_failures = [var.settings]
}

run "timeout_of_publish_too_short" {
  command = plan

  variables {
    timeout_seconds = { publish = 24 }
  }

  expect_failures = [var.timeout_seconds]
}

run "timeout_of_outcome_too_short" {
  command = plan

  variables {
    timeout_seconds = { outcome = 24 }
  }

  expect_failures = [var.timeout_seconds]
}

run "timeout_of_publish_of_a_minute" {
  command = plan

  variables {
    timeout_seconds = { publish = 60 }
  }

  expect_failures = [var.timeout_seconds]
}

run "timeout_of_interpreter_too_short" {
  command = plan

  variables {
    timeout_seconds = { interpreter = 29 }
  }

  expect_failures = [var.timeout_seconds]
}

run "timeout_of_interpreter_too_long" {
  command = plan

  variables {
    timeout_seconds = { interpreter = 61 }
  }

  expect_failures = [var.timeout_seconds]
}

run "timeout_of_interpreter_not_whole" {
  command = plan

  variables {
    timeout_seconds = { interpreter = 30.5 }
  }

  expect_failures = [var.timeout_seconds]
}

run "pipeline_function_invalid" {
  command = plan

  variables {
    pipeline_function = "my pipeline"
  }

  expect_failures = [var.pipeline_function]
}

run "pipeline_function_with_a_long_name" {
  command = plan

  variables {
    pipeline_function = "a234567890123456789012345678901234567890123456789012345678901234x"
  }

  expect_failures = [var.pipeline_function]
}

run "pipeline_function_of_another_service" {
  command = plan

  variables {
    pipeline_function = "arn:aws:sqs:us-east-1:123456789012:my-pipeline"
  }

  expect_failures = [var.pipeline_function]
}

run "pipeline_function_in_another_region" {
  command = plan

  variables {
    pipeline_function = "arn:aws:lambda:eu-central-1:123456789012:function:my-pipeline"
  }

  expect_failures = [var.pipeline_function]
}

run "pipeline_function_in_another_partition" {
  command = plan

  variables {
    pipeline_function = "arn:aws-us-gov:lambda:us-east-1:123456789012:function:my-pipeline"
  }

  expect_failures = [var.pipeline_function]
}

run "speech_unknown" {
  command = plan

  variables {
    speech = "yes"
  }

  expect_failures = [var.speech]
}

run "speech_without_the_interpreter" {
  command = plan

  variables {
    speech            = "on"
    pipeline_function = ""
  }

  expect_failures = [var.speech]
}

run "speech_in_govcloud" {
  command = plan

  variables {
    speech = "on"
    region = "us-gov-west-1"
  }

  expect_failures = [var.speech]
}

run "speech_while_nothing_is_kept" {
  command = plan

  variables {
    speech   = "on"
    settings = { CAPTIONS_KEPT_SECONDS = 0 }
  }

  expect_failures = [var.speech]
}

run "media_origins_empty" {
  command = plan

  variables {
    media_origins = []
  }

  expect_failures = [var.media_origins]
}

run "media_origin_with_a_path" {
  command = plan

  variables {
    media_origins = ["https://live.example.com/"]
  }

  expect_failures = [var.media_origins]
}

run "media_origin_without_a_scheme" {
  command = plan

  variables {
    media_origins = ["live.example.com"]
  }

  expect_failures = [var.media_origins]
}

run "media_origin_beside_any" {
  command = plan

  variables {
    media_origins = ["*", "https://live.example.com"]
  }

  expect_failures = [var.media_origins]
}
