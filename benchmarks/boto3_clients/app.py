"""A yardstick for cold starts: a Chalice application that creates two boto3 clients."""

import boto3
from chalice.app import Chalice

app = Chalice(app_name="bench-boto3-clients")

dynamodb = boto3.client("dynamodb")
connections = boto3.client("apigatewaymanagementapi", endpoint_url="http://127.0.0.1:9/local")
