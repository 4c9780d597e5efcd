# The bucket for the audio of captions, and its distribution.
#
#   terraform test -filter=tests/media.tftest.hcl

mock_provider "aws" {
  source          = "./tests/aws"
  override_during = plan
}

variables {
  name_prefix = "broadcast-sessions-dev"
  origins     = ["https://live.example.com"]
}

run "bucket" {
  command = plan

  module {
    source = "./modules/media"
  }

  assert {
    condition = alltrue([
      aws_s3_bucket_public_access_block.this.block_public_acls,
      aws_s3_bucket_public_access_block.this.block_public_policy,
      aws_s3_bucket_public_access_block.this.ignore_public_acls,
      aws_s3_bucket_public_access_block.this.restrict_public_buckets,
      aws_s3_bucket_ownership_controls.this.rule[0].object_ownership == "BucketOwnerEnforced",
    ])
    error_message = "The bucket must not be public."
  }

  assert {
    condition     = one(aws_s3_bucket_server_side_encryption_configuration.this.rule).apply_server_side_encryption_by_default[0].sse_algorithm == "AES256"
    error_message = "The bucket isn't encrypted, or with a key that CloudFront can't use."
  }

  assert {
    condition = alltrue([
      for rule in aws_s3_bucket_lifecycle_configuration.this.rule :
      rule.status == "Enabled" && rule.expiration[0].days == 1
    ])
    error_message = "Each object must be gone after a day."
  }

  assert {
    condition     = length(aws_s3_bucket.this.bucket_prefix) <= 37 && startswith(aws_s3_bucket.this.bucket_prefix, var.name_prefix)
    error_message = "The bucket's name doesn't contain the stage, or is too long with its suffix."
  }

  assert {
    condition     = aws_s3_bucket.this.force_destroy
    error_message = "A stage can't be destroyed while the bucket has audio."
  }
}

run "only_the_distribution_reads" {
  command = plan

  module {
    source = "./modules/media"
  }

  assert {
    condition = toset([
      for statement in data.aws_iam_policy_document.bucket.statement : jsonencode({
        actions    = statement.actions
        resources  = statement.resources
        principals = [for principal in statement.principals : [principal.type, principal.identifiers]]
        conditions = [for condition in statement.condition : [condition.test, condition.variable, condition.values]]
      }) if statement.effect != "Deny"
      ]) == toset([jsonencode({
        actions    = ["s3:GetObject"]
        resources  = ["${aws_s3_bucket.this.arn}/*"]
        principals = [["Service", ["cloudfront.amazonaws.com"]]]
        conditions = [["StringEquals", "AWS:SourceArn", [aws_cloudfront_distribution.this.arn]]]
    })])
    error_message = "Only this distribution should be able to read the objects, and not to list them."
  }

  assert {
    condition = anytrue([
      for statement in data.aws_iam_policy_document.bucket.statement :
      statement.effect == "Deny" && statement.actions == toset(["s3:*"]) &&
      anytrue([for condition in statement.condition : condition.variable == "aws:SecureTransport" && condition.values == tolist(["false"])])
    ])
    error_message = "The bucket must refuse requests without TLS."
  }

  assert {
    condition = (
      aws_cloudfront_origin_access_control.this.signing_behavior == "always" &&
      one(aws_cloudfront_distribution.this.origin).origin_access_control_id == aws_cloudfront_origin_access_control.this.id
    )
    error_message = "CloudFront must sign its requests to the bucket."
  }
}

run "distribution" {
  command = plan

  module {
    source = "./modules/media"
  }

  assert {
    condition = (
      aws_cloudfront_distribution.this.default_cache_behavior[0].viewer_protocol_policy == "https-only" &&
      aws_cloudfront_distribution.this.default_cache_behavior[0].allowed_methods == toset(["GET", "HEAD"])
    )
    error_message = "The audio must be served by GET over HTTPS only."
  }

  assert {
    condition = (
      aws_cloudfront_response_headers_policy.this.cors_config[0].access_control_allow_origins[0].items == toset(["https://live.example.com"]) &&
      aws_cloudfront_response_headers_policy.this.cors_config[0].access_control_allow_credentials == false &&
      aws_cloudfront_response_headers_policy.this.cors_config[0].origin_override
    )
    error_message = "Only scripts of the pages' origins should be able to read the audio, without credentials."
  }

  assert {
    condition = (
      aws_cloudfront_cache_policy.this.max_ttl == 31536000 &&
      length(aws_cloudfront_response_headers_policy.this.custom_headers_config) == 0 &&
      aws_cloudfront_distribution.this.default_cache_behavior[0].cache_policy_id == aws_cloudfront_cache_policy.this.id &&
      aws_cloudfront_distribution.this.default_cache_behavior[0].response_headers_policy_id == aws_cloudfront_response_headers_policy.this.id
    )
    error_message = "CloudFront and browsers must keep the audio for the year that the object's header says."
  }

  assert {
    condition     = output.url == "https://d1a2b3c4d5.cloudfront.net"
    error_message = "The URL must be that of the distribution, without a slash at the end."
  }
}

run "any_origin" {
  command = plan

  module {
    source = "./modules/media"
  }

  variables {
    origins = ["*"]
  }

  assert {
    condition     = aws_cloudfront_response_headers_policy.this.cors_config[0].access_control_allow_origins[0].items == toset(["*"])
    error_message = "Scripts of any page should be able to read the audio."
  }
}
