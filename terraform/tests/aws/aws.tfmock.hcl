# The mocked AWS provider of all tests. Terraform generates most values. This file sets the values
# whose format the provider or a test checks.

mock_data "aws_caller_identity" {
  defaults = { account_id = "123456789012" }
}

mock_data "aws_partition" {
  defaults = { partition = "aws" }
}

mock_data "aws_region" {
  defaults = { name = "us-east-1" }
}

mock_data "aws_iam_policy_document" {
  defaults = { json = "{}" }
}

mock_resource "aws_iam_role" {
  defaults = { arn = "arn:aws:iam::123456789012:role/a-role" }
}

mock_resource "aws_sns_topic" {
  defaults = { arn = "arn:aws:sns:us-east-1:123456789012:a-topic" }
}

mock_resource "aws_lambda_function" {
  defaults = {
    arn        = "arn:aws:lambda:us-east-1:123456789012:function:a-function"
    invoke_arn = "arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/arn:aws:lambda:us-east-1:123456789012:function:a-function/invocations"
  }
}

mock_resource "aws_cloudwatch_event_rule" {
  defaults = { arn = "arn:aws:events:us-east-1:123456789012:rule/a-rule" }
}

mock_resource "aws_cloudwatch_log_group" {
  defaults = { arn = "arn:aws:logs:us-east-1:123456789012:log-group:/aws/lambda/a-function" }
}

mock_resource "aws_dynamodb_table" {
  defaults = { arn = "arn:aws:dynamodb:us-east-1:123456789012:table/a-table" }
}

mock_resource "aws_apigatewayv2_api" {
  defaults = { id = "a1b2c3d4e5" }
}

mock_resource "aws_apigatewayv2_authorizer" {
  defaults = { id = "f6g7h8" }
}

mock_resource "aws_s3_bucket" {
  defaults = {
    id                          = "broadcast-sessions-dev-a-suffix"
    arn                         = "arn:aws:s3:::broadcast-sessions-dev-a-suffix"
    bucket_regional_domain_name = "broadcast-sessions-dev-a-suffix.s3.us-east-1.amazonaws.com"
  }
}

mock_resource "aws_cloudfront_distribution" {
  defaults = {
    arn         = "arn:aws:cloudfront::123456789012:distribution/E1A2B3C4D5"
    domain_name = "d1a2b3c4d5.cloudfront.net"
  }
}

mock_resource "aws_cloudfront_origin_access_control" {
  defaults = { id = "E2A1B2C3D4" }
}

mock_resource "aws_cloudfront_cache_policy" {
  defaults = { id = "a-cache-policy" }
}

mock_resource "aws_cloudfront_response_headers_policy" {
  defaults = { id = "a-response-headers-policy" }
}
