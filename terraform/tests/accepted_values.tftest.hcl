# The whole stack accepts the highest and lowest values of its variables. In the workspace dev:
#
#   TF_WORKSPACE=dev terraform test -filter=tests/accepted_values.tftest.hcl

mock_provider "aws" {
  source          = "./tests/aws"
  override_during = plan
}

variables {
  stage = "dev"
}

run "highest_and_lowest_values" {
  command = plan

  variables {
    region                  = "ap-southeast-2"
    python_version          = "3.11"
    memory_mb               = { authorizer = 128, connect = 10240 }
    timeout_seconds         = { authorizer = 1, disconnect = 25, interpreter = 30, outcome = 25, publish = 25, sweep = 900 }
    reserved_concurrency    = { message = 1 }
    log_retention_days      = 3653
    throttling              = { rate = 1, burst = 1 }
    domain                  = { name = "live.example.com", certificate_arn = "arn:aws:acm:us-east-1:123456789012:certificate/a" }
    existing_user_pool      = { user_pool_id = "eu-central-1_AbCdEfGhI", client_id = "a" }
    mfa                     = "ON"
    token_minutes           = 1440
    refresh_token_days      = 3650
    password_minimum_length = 99
    alarm_emails            = ["first.last+alarms@mail.example.com"]
    max_active_sessions     = 1

    settings = {
      LOG_LEVEL                              = "ERROR"
      MAX_LISTENERS_PER_SESSION              = 1
      SESSION_MAX_DURATION_HOURS             = "0.5"
      HEARTBEAT_INTERVAL_SECONDS             = 60
      HEARTBEAT_SETTLED_SECONDS              = 90
      HEARTBEAT_TIMEOUT_SECONDS              = 180
      MAX_REFUSED_COMMANDS                   = 1
      CONNECTION_REFRESH_MINUTES             = 0.1
      CONNECTION_WARNING_MINUTES             = 0.2
      SPEAKER_GRACE_SECONDS                  = 1.5
      SPEAKER_CLOSE_GRACE_SECONDS            = 0.5
      RATE_LIMIT_SESSIONS_PER_HOUR           = 1
      RATE_LIMIT_CONNECTION_ATTEMPTS_PER_MIN = 1
      RATE_LIMIT_LISTENER_JOINS_PER_MIN      = 1
      RATE_LIMIT_INVITED_JOINS_PER_MIN       = 1
      RATE_LIMIT_CONNECTIONS_PER_MIN         = 1
      RATE_LIMIT_HEARTBEATS_PER_MIN          = 1
      RATE_LIMIT_CAPTIONS_PER_MIN            = 1
      CAPTIONS_KEPT_SECONDS                  = 0
    }
  }
}

run "largest_sign_in_page" {
  command = plan

  variables {
    sign_in_page = {
      domain_prefix = "a23456789-123456789-123456789-123456789-123456789-123456789-123"
      logout_urls   = []
      callback_urls = [
        "https://live.example.com",
        "https://live.example.com:8443/signed-in?from=page",
        "http://localhost/",
        "http://127.0.0.1:8000/",
        "http://[::1]:8000/",
        "https://live.example.com/${join("", [for _ in range(999) : "a"])}",
      ]
    }
  }
}

run "region_of_govcloud" {
  command = plan

  variables {
    region = "us-gov-west-1"
  }
}

run "settings_at_their_bounds" {
  command = plan

  variables {
    settings = {
      HEARTBEAT_INTERVAL_SECONDS  = 599
      HEARTBEAT_SETTLED_SECONDS   = 599
      HEARTBEAT_TIMEOUT_SECONDS   = 1797
      CONNECTION_WARNING_MINUTES  = 119.9
      CONNECTION_REFRESH_MINUTES  = 119.8
      SPEAKER_GRACE_SECONDS       = 4
      MAX_LISTENERS_PER_SESSION   = 10000
      SPEAKER_CLOSE_GRACE_SECONDS = 4
    }
  }
}

run "short_grace_without_close_grace" {
  command = plan

  variables {
    settings = { SPEAKER_GRACE_SECONDS = 1 }
  }
}

run "speech" {
  command = plan

  variables {
    speech        = "on"
    media_origins = ["https://live.example.com", "http://localhost:8000"]
  }

  assert {
    condition     = output.media_url == "https://d1a2b3c4d5.cloudfront.net"
    error_message = "With speech, the stack has a URL for the audio."
  }
}

run "without_speech" {
  command = plan

  assert {
    condition     = output.media_url == null
    error_message = "Without speech, the stack must have no bucket and no URL for audio."
  }

  assert {
    condition     = output.pipeline_function == "broadcast-sessions-dev-interpreter"
    error_message = "By default, the stack's own interpreter is the pipeline."
  }

  assert {
    condition     = output.publish_function_name == "broadcast-sessions-dev-publish" && endswith(output.publish_function_arn, ":function:a-function")
    error_message = "The outputs must name the function publish."
  }
}

run "a_pipeline_by_its_alias" {
  command = plan

  variables {
    pipeline_function = "my-pipeline:live"
  }
}

run "a_pipeline_of_govcloud" {
  command = plan

  variables {
    region            = "us-gov-west-1"
    pipeline_function = "arn:aws-us-gov:lambda:us-gov-west-1:123456789012:function:my_pipeline"
  }
}
