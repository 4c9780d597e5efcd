"""Local AWS, the real way: the whole stack, applied by Terraform to an emulator of AWS.

`make emulate` starts ministack, packages the application, applies the stack in the workspace
`local`, prints the WebSocket URL and stays until Ctrl-C. It says on stderr what it does. Everything
is done in a folder of its own, so no state is left and no other stage's package is touched. If the
process is killed, the next start removes the folder.
"""

import json
import os
import signal
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from devserver import arguments, scratch
from devserver.aws import REGION, EmbeddedAwsError, ministack
from devserver.command import run_command
from operations import package, running_emulation, terraform_cli
from operations.running_emulation import STAGE, EmulationError, RunningEmulation
from operations.terraform_cli import TerraformError

ROOT: Final = Path(__file__).parent.parent
PORT: Final = 4566
"""The port on which emulators of AWS listen by convention."""

READY: Final = """\
Ready. Ctrl-C stops it. Try next, in another terminal:
  make -s token STAGE=local                              # print a speaker's token
  make output STAGE=local                                # print the outputs of the stack
  make sessions STAGE=local                              # list the open sessions
  make session-end STAGE=local SESSION=golden-eagle-427  # end one of them
  make speaker STAGE=local EMAIL=anna@example.com        # create a speaker
"""


@dataclass(frozen=True, slots=True)
class Emulation:
    """A stage's stack on an emulator: its outputs, and where the emulator is."""

    stage: str
    outputs: Mapping[str, Any]
    folder: Path
    environment: Mapping[str, str]

    @property
    def endpoint_url(self) -> str:
        return self.environment["AWS_ENDPOINT_URL"]

    @property
    def url(self) -> str:
        """The WebSocket URL. Source: ministack, "API Gateway"; its path for WebSocket APIs."""
        host = self.endpoint_url.removeprefix("http://")
        return f"ws://{host}/_aws/execute-api/{self.outputs['api_id']}/{self.stage}"


def main() -> int:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    parser = arguments.Parser(prog="python -m operations.emulate", description=__doc__)
    parser.add_argument(
        "--port", type=arguments.port, default=PORT, help=f"{PORT} by default; 0: any free port"
    )
    port = parser.parse_args().port
    try:
        with running_emulation.claim() as claimed, emulate(port) as emulation:
            outputs = {**emulation.outputs, "url": emulation.url}
            running = RunningEmulation(whereabouts(emulation), outputs)
            running_emulation.announce(claimed, running)
            print(emulation.url, flush=True)
            print(READY, end="", file=sys.stderr, flush=True)
            threading.Event().wait()
    except (TerraformError, EmbeddedAwsError, EmulationError, package.PackageError) as error:
        print(f"emulate: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 0
    return 0


@contextmanager
def emulate(port: int = 0, **settings: str) -> Iterator[Emulation]:
    """Apply the stack to a fresh emulator, with settings of the application.

    Says on stderr what it does. Port 0 is any free one.

    Raises: TerraformError, EmbeddedAwsError, PackageError.
    """
    with scratch.folder("emulate-") as home:
        _say("starting an emulator of AWS")
        with ministack(port=port) as endpoint_url:
            _say(f"emulating AWS on {endpoint_url}; packaging the functions")
            environment = emulator_environment(endpoint_url)
            folder = prepare(home, environment)
            _say("applying the stack with Terraform, which takes about half a minute")
            yield apply(folder, environment, settings=settings)


def prepare(home: Path, environment: Mapping[str, str], stage: str = STAGE) -> Path:
    """Make a copy of the stack ready for its first apply, packaged and in its stage's workspace.

    Raises: TerraformError, PackageError.
    """
    folder = terraform_cli.copy_stack(ROOT, home)
    package.package(stage, folder / "modules" / "app")
    terraform_cli.run(folder, environment, "init", "-input=false", *terraform_cli.init_arguments())
    terraform_cli.run(folder, environment, "workspace", "select", "-or-create", stage)
    return folder


def apply(
    folder: Path,
    environment: Mapping[str, str],
    stage: str = STAGE,
    settings: Mapping[str, str] | None = None,
) -> Emulation:
    """Apply a prepared copy, with settings of the application. Raises: TerraformError."""
    terraform_cli.run(folder, environment, *apply_arguments(stage, settings or {}))
    outputs = terraform_cli.read_outputs(folder, environment)
    return Emulation(stage, outputs, folder, environment)


def emulator_environment(endpoint_url: str) -> dict[str, str]:
    """All that differs from AWS, but for credentials: the endpoint."""
    return {
        **terraform_cli.environment(),
        "AWS_ENDPOINT_URL": endpoint_url,
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
        "AWS_REGION": REGION,
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def apply_arguments(stage: str, settings: Mapping[str, str]) -> list[str]:
    arguments = ["apply", "-auto-approve", "-input=false", f"-var-file=environments/{stage}.tfvars"]
    return [*arguments, f"-var=settings={json.dumps(settings)}"] if settings else arguments


def whereabouts(emulation: Emulation) -> dict[str, str]:
    """Say where an emulation is, in the words of the local server's environment."""
    tables = emulation.outputs["table_names"]
    return {
        "AWS_ENDPOINT_URL": emulation.endpoint_url,
        "COGNITO_USER_POOL_ID": emulation.outputs["user_pool_id"],
        "COGNITO_CLIENT_ID": emulation.outputs["client_id"],
        "SESSIONS_TABLE": tables["sessions"],
        "CONNECTIONS_TABLE": tables["connections"],
        "RATE_LIMITS_TABLE": tables["rate_limits"],
    }


def _say(text: str) -> None:
    print(f"emulate: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        run_command(main)
