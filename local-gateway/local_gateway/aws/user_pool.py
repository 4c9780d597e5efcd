"""A user pool, and sign-in of its users."""

from collections.abc import Collection, Mapping
from contextlib import suppress
from typing import Any, Final

from botocore.exceptions import ClientError

from local_gateway.aws.ministack import client

USER_PASSWORD: Final = "User-1-of-the-local-pool"  # noqa: S105
"""The password of every user of the embedded pool, which exists only while the gateway runs."""

AUTH_FLOWS: Final = ("ALLOW_ADMIN_USER_PASSWORD_AUTH", "ALLOW_REFRESH_TOKEN_AUTH")
"""The default authentication flows of an app client."""


def create_user_pool(
    endpoint_url: str, name: str, app_client: Mapping[str, Any] | None = None
) -> dict[str, str]:
    """Create a user pool with an app client.

    As in the deployed pool, usernames are email addresses. Unlike in the deployed pool, they are
    case-sensitive (ministack 1.5).

    Returns:
        The IDs of the pool and the client, by environment variable.
    """
    cognito = client("cognito-idp", endpoint_url)
    pool = cognito.create_user_pool(PoolName=name, UsernameAttributes=["email"])
    pool_id = pool["UserPool"]["Id"]
    return {
        "COGNITO_USER_POOL_ID": pool_id,
        "COGNITO_CLIENT_ID": create_app_client(endpoint_url, pool_id, name, app_client),
    }


def create_app_client(
    endpoint_url: str, pool_id: str, name: str, settings: Mapping[str, Any] | None = None
) -> str:
    """Create an app client.

    Args:
        endpoint_url: The embedded AWS.
        pool_id: The user pool.
        name: The client's name.
        settings: Parameters of CreateUserPoolClient. Without them, the client only works with
            `sign_in`.

    Returns:
        The client's ID.
    """
    created = client("cognito-idp", endpoint_url).create_user_pool_client(
        UserPoolId=pool_id, ClientName=name, **{"ExplicitAuthFlows": AUTH_FLOWS, **(settings or {})}
    )
    client_id: str = created["UserPoolClient"]["ClientId"]
    return client_id


def app_client_request(
    settings: Mapping[str, Any], page_origins: Collection[str]
) -> dict[str, Any]:
    """Build the parameters of CreateUserPoolClient from the settings of a deployed client.

    Args:
        settings: `explicit_auth_flows`, `allowed_oauth_flows` and `allowed_oauth_scopes`, as
            Terraform's aws_cognito_user_pool_client has them. All are optional.
        page_origins: Origins of local pages. They replace the deployed callback URLs, so local
            pages can use Cognito's hosted sign-in page.
    """
    request: dict[str, Any] = {"ExplicitAuthFlows": settings.get("explicit_auth_flows", AUTH_FLOWS)}
    if "allowed_oauth_flows" in settings:
        pages = [f"{origin}/" for origin in page_origins]
        request |= {
            "AllowedOAuthFlowsUserPoolClient": True,
            "AllowedOAuthFlows": settings["allowed_oauth_flows"],
            "AllowedOAuthScopes": settings.get("allowed_oauth_scopes", ["openid"]),
            "SupportedIdentityProviders": ["COGNITO"],
            "CallbackURLs": pages,
            "LogoutURLs": pages,
        }
    return request


class SignInRefused(Exception):
    """Cognito refuses the username. The message explains why."""


def sign_in(endpoint_url: str, pool_id: str, client_id: str, username: str) -> dict[str, str]:
    """Sign a user in. Creates the user if it doesn't exist.

    Returns:
        Cognito's AuthenticationResult: IdToken, AccessToken, RefreshToken and more.

    Raises:
        SignInRefused: Cognito refuses the username.
    """
    if not username:
        raise SignInRefused("the username is empty")
    try:
        return _sign_in(client("cognito-idp", endpoint_url), pool_id, client_id, username)
    except ClientError as error:
        raise SignInRefused(error.response["Error"]["Message"]) from None


def _sign_in(cognito: Any, pool_id: str, client_id: str, username: str) -> dict[str, str]:
    user = {"UserPoolId": pool_id, "Username": username}
    with suppress(cognito.exceptions.UsernameExistsException):
        cognito.admin_create_user(**user, MessageAction="SUPPRESS")
    cognito.admin_set_user_password(**user, Password=USER_PASSWORD, Permanent=True)
    tokens: dict[str, str] = cognito.admin_initiate_auth(
        UserPoolId=pool_id,
        ClientId=client_id,
        AuthFlow="ADMIN_USER_PASSWORD_AUTH",
        AuthParameters={"USERNAME": username, "PASSWORD": USER_PASSWORD},
    )["AuthenticationResult"]
    return tokens
