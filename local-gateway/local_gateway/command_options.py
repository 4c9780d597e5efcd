"""The options of the command `chalice-local-gateway`."""

import argparse

from local_gateway import __version__, arguments, clock
from local_gateway.gateway import Timeouts


def parse_options(description: str) -> argparse.Namespace:
    """Parse the command line. Exits with status 2 and one line if an option isn't valid."""
    parser = arguments.Parser(prog="chalice-local-gateway", description=description)
    parser.add_argument("--version", action="version", version=f"{parser.prog} {__version__}")
    parser.add_argument(
        "--host",
        type=arguments.host,
        default="127.0.0.1",
        help="the address to listen on (default: %(default)s)",
    )
    parser.add_argument(
        "--port",
        type=arguments.port,
        default=8000,
        help="the port; 0 for any free port (default: %(default)s)",
    )
    parser.add_argument(
        "--project", default=".", help="the Chalice project's folder (default: %(default)s)"
    )
    parser.add_argument(
        "--stage",
        type=arguments.stage,
        default="local",
        help="the stage in config.json, and the path of the URL (default: %(default)s)",
    )
    parser.add_argument(
        "--idle-timeout-seconds",
        type=arguments.seconds,
        default=Timeouts().idle_seconds,
        help="close connections after this time without a message; by the application's clock "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "--connection-lifetime-seconds",
        type=arguments.seconds,
        default=Timeouts().lifetime_seconds,
        help="close connections after this time; by the application's clock (default: %(default)s)",
    )
    parser.add_argument(
        "--clock-rate",
        type=_clock_rate,
        default=1,
        help="speed of the application's clock, as a multiple of real time (default: %(default)s)",
    )
    parser.add_argument(
        "--fault",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="inject a fault, such as handler_raises_share=0.1; can be repeated",
    )
    parser.add_argument(
        "--fault-seed",
        type=int,
        default=0,
        help="random seed of the faults, to repeat a run (default: %(default)s)",
    )
    parser.add_argument(
        "--source-ip-header",
        type=arguments.header_name,
        metavar="NAME",
        help="the handshake header that contains the client's IP address",
    )
    parser.add_argument(
        "--hint",
        action="append",
        default=[],
        metavar="COMMAND",
        help="a command to suggest when the gateway is ready; {port} is replaced by its port",
    )
    parser.add_argument(
        "--note",
        action="append",
        default=[],
        metavar="TEXT",
        help="a line to print when the gateway is ready; can be repeated",
    )
    parser.add_argument(
        "--no-reload", action="store_true", help="don't reload when a source file changes"
    )
    parser.add_argument("--no-aws", action="store_true", help="don't start the embedded AWS")
    parser.add_argument(
        "--quiet", action="store_true", help="don't log events or show the live view"
    )
    parser.add_argument("--no-live", action="store_true", help="don't show the live view")
    parser.add_argument(
        "--panel",
        type=_panel,
        metavar="MODULE:FUNCTION",
        help="a function that returns the project's own tables for the live view",
    )
    return parser.parse_args()


def _clock_rate(text: str) -> float:
    try:
        return clock.parse_rate(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _panel(text: str) -> str:
    module, _, function = text.partition(":")
    if not function.isidentifier() or not all(map(str.isidentifier, module.split("."))):
        raise argparse.ArgumentTypeError("must be MODULE:FUNCTION")
    return text
