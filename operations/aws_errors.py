"""One-line explanations of the AWS errors that an operator can get.

They omit AWS's own message, which names the user that AWS refused.
"""

from typing import Final

from botocore.exceptions import BotoCoreError, ClientError

from chalicelib.aws.dynamodb import Refused
from chalicelib.aws.retries import AttemptFailed
from chalicelib.errors import ServiceUnavailable

_DENIED: Final = frozenset({"AccessDenied", "AccessDeniedException", "UnauthorizedOperation"})
_BAD_CREDENTIALS: Final = frozenset(
    {
        "ExpiredToken",
        "ExpiredTokenException",
        "IncompleteSignature",
        "IncompleteSignatureException",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "MissingAuthenticationTokenException",
        "RequestExpired",
        "UnrecognizedClientException",
    }
)
"""Source: "Common Errors", Amazon DynamoDB API Reference."""

_ACTIONS: Final = {"TransactWriteItems": "dynamodb:DeleteItem", "AssumeRole": "sts:AssumeRole"}
"""The IAM actions of operations whose action is not `dynamodb:` with the operation's name.

A transaction needs the actions of its items. Source: "IAM and transactions", Amazon DynamoDB
Developer Guide.
"""


def explain(error: Exception) -> str | None:
    """Explain an error of AWS, or return None for any other error."""
    if isinstance(error, ServiceUnavailable):
        cause = error.__cause__
        is_lost = isinstance(cause, AttemptFailed)
        return f"AWS can't be reached: {cause}" if is_lost else "DynamoDB is busy"
    if isinstance(error, Refused):
        return _explain_code(error.code, error.operation)
    if isinstance(error, ClientError):
        return _explain_code(error.response["Error"]["Code"], error.operation_name)
    if isinstance(error, BotoCoreError):
        return " ".join(f"AWS can't be called: {error}".split())
    return None


def describe_missing(action: str) -> str:
    """Return the message for credentials without an IAM action."""
    return f"access denied: these credentials lack {action}; see docs/how-to/operate.md"


def _explain_code(code: str, operation: str) -> str:
    if code in _DENIED:
        return describe_missing(_ACTIONS.get(operation, f"dynamodb:{operation}"))
    if code in _BAD_CREDENTIALS:
        return f"the AWS credentials are invalid or have expired ({code})"
    if code == "ResourceNotFoundException":
        return "the stage's tables don't exist; are these the credentials of its account?"
    return f"DynamoDB refused {operation}: {code}"
