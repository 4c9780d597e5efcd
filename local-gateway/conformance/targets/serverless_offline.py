"""serverless-offline, a plugin of the Serverless Framework, with the probe's Python handlers."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any, Final

from conformance.serverless_offline import server
from conformance.serverless_offline.server import routes
from conformance.targets import base
from conformance.targets.base import Api, Deployment, TargetError
from conformance.targets.records import create_table
from local_gateway import scratch
from local_gateway.aws import EmbeddedAwsError, ministack

TABLE: Final = "records"
SETTINGS: Final = {
    "region_name": server.REGION,
    "aws_access_key_id": "local",
    "aws_secret_access_key": "local",
}

VARIANTS: Final[Mapping[str, tuple[dict[str, Any], dict[str, Any]]]] = {
    base.TWO_WAY: (routes(*server.HANDLERS, identity_source=[], has_replies=True), {}),
    base.ONE_WAY: (routes(*server.HANDLERS), {}),
    base.CONNECT_ONLY: (routes("$connect"), {}),
    base.DEFAULT_ONLY: (routes("$default", has_replies=True), {}),
    base.IDENTITY_SOURCE: (
        routes(*server.HANDLERS, identity_source=["route.request.querystring.token"]),
        {},
    ),
    base.SHORT_IDLE: (routes(*server.HANDLERS), {"webSocketIdleTimeout": 1}),
    base.SHORT_LIFETIME: (routes(*server.HANDLERS), {"webSocketHardTimeout": 1}),
}
"""The functions of each variant, and its options of serverless-offline."""

CHILD: Final = {"child": {"handler": "app.child"}}

# After an exception or an empty result, the Python process of version 13.9.0 never responds again.
# With a process for each event, one check doesn't stop the others.
OPTIONS: Final = {"reloadHandler": True}


class ServerlessOffline:
    """serverless-offline, one process per variant."""

    name = "serverless-offline"

    @contextmanager
    def deployed(self) -> Iterator[Deployment]:
        """Install serverless-offline if necessary, and serve each variant of the probe.

        Raises:
            TargetError: npm, ministack or serverless-offline fails.
        """
        server.install()
        with ExitStack() as stack:
            try:
                dynamodb_url = stack.enter_context(ministack())
            except EmbeddedAwsError as error:
                raise TargetError(str(error)) from None
            create_table(TABLE, dynamodb_url, SETTINGS)
            home = stack.enter_context(scratch.folder("conformance-serverless-"))
            environment = {
                "AWS_ENDPOINT_URL_DYNAMODB": dynamodb_url,
                "RECORDS_TABLE": TABLE,
                "CHILD_FUNCTION": f"{server.SERVICE}-{server.STAGE}-child",
            }
            servers = {
                name: stack.enter_context(
                    server.started(
                        base.PROBE, home / name, functions | CHILD, options | OPTIONS, environment
                    )
                )
                for name, (functions, options) in VARIANTS.items()
            }
            for each in servers.values():
                each.wait_until_ready()

            yield Deployment(
                version=server.find_version(),
                apis={name: Api(it.url, it.management_url) for name, it in servers.items()},
                records_table=TABLE,
                missing={
                    base.THROTTLED: "it has no limits for a stage",
                    base.WITHOUT_PERMISSION: "it has no permissions",
                },
                settings={
                    base.SHORT_IDLE: "an idle timeout of 1 second",
                    base.SHORT_LIFETIME: "a lifetime of 1 second",
                },
                client_settings=SETTINGS,
                dynamodb_url=dynamodb_url,
            )


TARGET: Final = ServerlessOffline()
