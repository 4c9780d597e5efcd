"""S3 buckets of the embedded AWS."""

from collections.abc import Mapping

from local_gateway.aws.ministack import client
from local_gateway.public_buckets import bucket_variables, public_url


def create_buckets(endpoint_url: str, buckets: Mapping[str, str]) -> dict[str, str]:
    """Create buckets.

    Args:
        endpoint_url: The embedded AWS.
        buckets: The full names by name.

    Returns:
        The full names and public URLs, by environment variable: `NAME_BUCKET` and `NAME_URL`.
    """
    environment = {}
    for name, bucket in buckets.items():
        client("s3", endpoint_url).create_bucket(Bucket=bucket)
        bucket_variable, url_variable = bucket_variables(name)
        environment[bucket_variable] = bucket
        environment[url_variable] = public_url(endpoint_url, bucket)
    return environment
