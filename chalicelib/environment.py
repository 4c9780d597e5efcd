"""Readers of single environment variables. `settings.py` reads those that belong together."""

from collections.abc import Mapping
from typing import Final

from chalicelib.aws.signing import Credentials

MAX_NUMBER: Final = 1_000_000_000
"""Highest accepted number, which is within DynamoDB's precision."""

LOCAL_CONNECTIONS_URL: Final = "AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI"
"""boto3's variable for the URL of the @connections API, which the local server sets."""

_LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")


class SettingError(Exception):
    """A setting is missing or invalid. The message names it."""


def read_text(environment: Mapping[str, str], name: str) -> str:
    """Return a variable's text.

    Raises:
        SettingError: It is not set.
    """
    if value := environment.get(name):
        return value
    raise SettingError(f"{name} is not set")


def read_whole(
    environment: Mapping[str, str],
    name: str,
    *,
    default: int,
    maximum: int = MAX_NUMBER,
    may_be_zero: bool = False,
) -> int:
    """Return a variable's whole number, or the default if it is not set.

    Raises:
        SettingError: It is not a whole number, or out of range.
    """
    value = read_number(
        environment, name, default=default, maximum=maximum, may_be_zero=may_be_zero
    )
    if value != int(value):
        raise SettingError(f"{name} must be a whole number, not {environment[name]!r}")
    return int(value)


def read_number(
    environment: Mapping[str, str],
    name: str,
    *,
    default: float,
    maximum: int = MAX_NUMBER,
    may_be_zero: bool = False,
) -> float:
    """Return a variable's number, or the default if it is not set.

    Raises:
        SettingError: It is not a number, or out of range.
    """
    text = environment.get(name) or str(default)
    try:
        value = float(text)
    except ValueError:
        raise SettingError(f"{name} must be a number, not {text!r}") from None
    if not (0 < value <= maximum or (may_be_zero and value == 0)):
        least = "0 or greater" if may_be_zero else "greater than 0"
        raise SettingError(f"{name} must be {least} and at most {maximum:,}, not {text!r}")
    return value


def read_log_level(environment: Mapping[str, str]) -> str:
    """Return the name of the log level.

    Raises:
        SettingError: The level is unknown.
    """
    level = environment.get("LOG_LEVEL") or "INFO"
    if level not in _LOG_LEVELS:
        raise SettingError(f"LOG_LEVEL must be one of {', '.join(_LOG_LEVELS)}, not {level!r}")
    return level


def read_stage(environment: Mapping[str, str]) -> str:
    """Return the stage's name."""
    return environment.get("STAGE") or "local"


def read_hash_key(environment: Mapping[str, str]) -> bytes:
    """Return the key with which the log hashes IDs, or an empty one.

    It is empty when `chalice package` imports the application. read_rate_limits requires the same
    key.
    """
    return environment.get("HASH_KEY", "").encode()


def find_handler(environment: Mapping[str, str]) -> str | None:
    """Return the name of the function's handler, or None outside Lambda.

    Source: "Defined runtime environment variables" (`_HANDLER`), AWS Lambda Developer Guide.
    """
    return environment.get("_HANDLER") or None


def is_local_server(environment: Mapping[str, str]) -> bool:
    """Return whether the local server runs all functions in this process."""
    return find_handler(environment) is None and LOCAL_CONNECTIONS_URL in environment


def read_region(environment: Mapping[str, str]) -> str:
    """Return the AWS Region.

    Raises:
        SettingError: It is not set.
    """
    return read_text(environment, "AWS_REGION")


def read_credentials(environment: Mapping[str, str]) -> Credentials:
    """Return the credentials that Lambda sets for each environment.

    Raises:
        SettingError: The access key or the secret key is not set.

    Source: "Defined runtime environment variables", AWS Lambda Developer Guide.
    """
    return Credentials(
        read_text(environment, "AWS_ACCESS_KEY_ID"),
        read_text(environment, "AWS_SECRET_ACCESS_KEY"),
        environment.get("AWS_SESSION_TOKEN"),
    )


def read_endpoint_url(environment: Mapping[str, str], service: str) -> str:
    """Return the URL of an AWS service, from the environment or in the Region.

    Args:
        environment: The environment.
        service: The first label of the service's host name, for example `dynamodb`.

    Raises:
        SettingError: The Region is not set.
    """
    region = read_region(environment)
    return (
        find_endpoint(environment, service.upper()) or f"https://{service}.{region}.amazonaws.com"
    )


def find_endpoint(environment: Mapping[str, str], name: str) -> str:
    """Return the environment's URL for a service, or an empty text.

    Source: "Service-specific endpoints", AWS SDKs and Tools Reference Guide.
    """
    url = environment.get(f"AWS_ENDPOINT_URL_{name}") or environment.get("AWS_ENDPOINT_URL") or ""
    return url.rstrip("/")
