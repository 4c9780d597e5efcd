"""Runs the stack on an emulator of AWS.

It starts ministack, packages the application, applies the stack in the workspace `local`, prints
the WebSocket URL and runs until Ctrl-C. Progress goes to stderr. It works in a temporary folder, so
it leaves no state and doesn't change another stage's package. If the process is killed, the next
start removes the folder.
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

from local_gateway import arguments, scratch, stand_ins
from local_gateway.aws import REGION, EmbeddedAwsError, ministack
from local_gateway.command import run_command
from operations import package, running_emulation, terraform_cli
from operations.running_emulation import STAGE, EmulationError, RunningEmulation
from operations.terraform_cli import TerraformError

ROOT: Final = Path(__file__).parent.parent
PORT: Final = 4566
"""The port that emulators of AWS use by convention."""

READY: Final = """\
Ready. Nothing is translated: captions are marked with their language, like [es] Good morning.
Ctrl-C stops it. Try next, in another terminal:
  make -s token STAGE=local                              # print a speaker's token
  make output STAGE=local                                # print the outputs of the stack
  make sessions STAGE=local                              # list the open sessions
  make session-end STAGE=local SESSION=golden-eagle-427  # end one of them
  make speaker STAGE=local EMAIL=anna@example.com        # create a speaker
"""


@dataclass(frozen=True, slots=True)
class Emulation:
    """A stage's stack on an emulator."""

    stage: str
    outputs: Mapping[str, Any]
    folder: Path
    environment: Mapping[str, str]

    @property
    def endpoint_url(self) -> str:
        """The URL of the emulator's AWS APIs."""
        return self.environment["AWS_ENDPOINT_URL"]

    @property
    def url(self) -> str:
        """The WebSocket URL, by the emulator's path. Source: ministack, "API Gateway"."""
        host = self.endpoint_url.removeprefix("http://")
        return f"ws://{host}/_aws/execute-api/{self.outputs['api_id']}/{self.stage}"


def main() -> int:
    """Emulate until a signal arrives; return the exit code."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    parser = arguments.Parser(prog="python -m operations.emulate", description=__doc__)
    parser.add_argument(
        "--port", type=arguments.port, default=PORT, help=f"default {PORT}; 0 for any free port"
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
    """Start an emulator, and package and apply the stack in it.

    Args:
        port: The emulator's port; 0 for any free port.
        settings: Settings of the application, by their environment variables.

    Raises:
        EmbeddedAwsError: The emulator didn't start.
        PackageError: The application can't be packaged.
        TerraformError: Terraform has failed.
    """
    with scratch.folder("emulate-") as home:
        _say("starting an emulator of AWS")
        with ministack(port=port, **stand_ins.settings(ROOT, _stand_ins())) as endpoint_url:
            _say(f"emulating AWS on {endpoint_url}; packaging the functions")
            environment = emulator_environment(endpoint_url)
            folder = prepare(home, environment)
            _say("applying the stack with Terraform, which takes about half a minute")
            yield apply(folder, environment, settings=settings)


def prepare(home: Path, environment: Mapping[str, str], stage: str = STAGE) -> Path:
    """Copy the stack, package the application into the copy, and initialize Terraform there.

    Args:
        home: The folder for the copy.
        environment: The environment for Terraform.
        stage: The stage, whose workspace is selected.

    Returns:
        The copy's Terraform folder.

    Raises:
        PackageError: The application can't be packaged.
        TerraformError: Terraform has failed.
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
    """Apply a prepared copy with settings of the application.

    Raises:
        TerraformError: Terraform has failed.
    """
    terraform_cli.run(folder, environment, *apply_arguments(stage, settings or {}))
    outputs = terraform_cli.read_outputs(folder, environment)
    return Emulation(stage, outputs, folder, environment)


def emulator_environment(endpoint_url: str) -> dict[str, str]:
    """Return the environment in which Terraform and boto3 use an emulator, not AWS."""
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
    """Return the arguments with which Terraform applies a stage without asking."""
    arguments = ["apply", "-auto-approve", "-input=false", f"-var-file=environments/{stage}.tfvars"]
    return [*arguments, f"-var=settings={json.dumps(settings)}"] if settings else arguments


def whereabouts(emulation: Emulation) -> dict[str, str]:
    """Return the environment variables with which the application reaches an emulation."""
    tables = emulation.outputs["table_names"]
    return {
        "AWS_ENDPOINT_URL": emulation.endpoint_url,
        "COGNITO_USER_POOL_ID": emulation.outputs["user_pool_id"],
        "COGNITO_CLIENT_ID": emulation.outputs["client_id"],
        "SESSIONS_TABLE": tables["sessions"],
        "CONNECTIONS_TABLE": tables["connections"],
        "CAPTIONS_TABLE": tables["captions"],
        "RATE_LIMITS_TABLE": tables["rate_limits"],
    }


def _stand_ins() -> Mapping[str, str]:
    """Return the local server's stand-ins for services that the emulator lacks."""
    config = json.loads((ROOT / ".chalice" / "config.json").read_text())
    by_service: dict[str, str] = config["local_gateway"]["aws"]["stand_ins"]
    return by_service


def _say(text: str) -> None:
    print(f"emulate: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        run_command(main)
