"""The interface between the suite and a target.

A target is a WebSocket API of some maker, such as AWS or an emulator. It serves the probe, the
Chalice project in `conformance/probe`, in several variants:

| variant | authorizer | routes | the client receives a message's reply |
| --- | --- | --- | --- |
| `TWO_WAY` | yes | `$connect`, `$default`, `$disconnect` | yes: `$default` has a route response |
| `ONE_WAY` | no | `$connect`, `$default`, `$disconnect` | no |
| `CONNECT_ONLY` | no | `$connect` | no |
| `DEFAULT_ONLY` | no | `$default` | yes |
| `IDENTITY_SOURCE` | yes, with the identity source `route.request.querystring.token` | all | no |
| `SHORT_IDLE` | no | all; a connection that is idle for a second closes | no |
| `SHORT_LIFETIME` | no | all; a connection closes a second after it opened | no |
| `THROTTLED` | no | `$connect`, of a stage that allows 0 requests per second | no |
| `WITHOUT_PERMISSION` | no | `$connect`, whose function the API may not invoke | no |

The probe's handlers are functions of an event and a context, as Lambda calls them: `authorizer`,
`connect`, `message`, `disconnect` and `child` in `app.py`. They need these environment variables:

- `RECORDS_TABLE`: a DynamoDB table with the keys `KEY_SCHEMA`, in which they record their events.
- `CHILD_FUNCTION`: the name with which boto3 can invoke `child`.
- `MANAGEMENT_URL`: the URL of the `@connections` API, if it isn't AWS's
  `https://{domainName}/{stage}`. Members of an event's requestContext replace names in braces, as
  in `http://127.0.0.1:4566/_aws/execute-api/{apiId}/{stage}`.
- `ROUTES`: the routes, separated by commas, if the target reads them from the Chalice application.
- boto3's own variables, such as `AWS_ENDPOINT_URL_DYNAMODB`, `AWS_REGION` and credentials.
"""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol

PROBE: Final = Path(__file__).parents[1] / "probe"
"""The folder of the Chalice project that each target serves."""

TWO_WAY: Final = "two_way"
ONE_WAY: Final = "one_way"
CONNECT_ONLY: Final = "connect_only"
DEFAULT_ONLY: Final = "default_only"
IDENTITY_SOURCE: Final = "identity_source"
SHORT_IDLE: Final = "short_idle"
SHORT_LIFETIME: Final = "short_lifetime"
THROTTLED: Final = "throttled"
WITHOUT_PERMISSION: Final = "without_permission"

KEY_SCHEMA: Final = [
    {"AttributeName": "subject", "KeyType": "HASH"},
    {"AttributeName": "position", "KeyType": "RANGE"},
]
"""The keys of the table of records. Both attributes are strings."""


class TargetError(Exception):
    """The target can't be started. The message explains why in one line."""


@dataclass(frozen=True, slots=True)
class Api:
    """One variant of the probe.

    Attributes:
        url: The URL to connect to, with the stage, such as `ws://127.0.0.1:8000/local`.
        management_url: The endpoint URL of the `@connections` API for boto3.
    """

    url: str
    management_url: str


@dataclass(frozen=True, slots=True)
class Deployment:
    """A target that serves the probe.

    Attributes:
        version: The target's version, such as "1.5.33". For AWS, the region.
        apis: The variants by name. `TWO_WAY` and `ONE_WAY` are required.
        missing: The reasons, by variant, why the target doesn't serve it. Each variant is either
            here or in `apis`. The matrix shows "not tested: REASON".
        settings: The settings, by variant, without which the target couldn't pass its checks. The
            matrix shows "passes with SETTING".
        client_settings: The arguments with which `boto3.client` reaches the target, such as
            region and credentials, without the endpoint. Empty for AWS.
        dynamodb_url: The endpoint URL of the table of records; None for AWS's own.
        records_table: The name of the table of records.
        patience_seconds: How long a test waits for a frame or a record before it notes its
            absence.
    """

    version: str
    apis: Mapping[str, Api]
    records_table: str
    missing: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)
    client_settings: Mapping[str, Any] = field(default_factory=dict)
    dynamodb_url: str | None = None
    patience_seconds: float = 10


class Target(Protocol):
    """A WebSocket API that the suite can test.

    A module of this package defines the target as the object `TARGET`. `names.py` lists the module.
    """

    @property
    def name(self) -> str:
        """The name on the command line and in the matrix."""

    def deployed(self) -> AbstractContextManager[Deployment]:
        """Start the target, and serve the probe until the context ends.

        The context removes everything that it created, also after an exception.

        Raises:
            TargetError: The target can't be started.
        """
