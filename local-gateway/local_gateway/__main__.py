"""The command `chalice-local-gateway`, which handles Ctrl-C before it imports the gateway."""

import os
import signal


def command() -> None:
    """Run the command."""
    signal.signal(signal.SIGINT, _exit_now)
    # Imported here because the import takes a noticeable time, in which Ctrl-C must work.
    from local_gateway.command import run_command
    from local_gateway.command_line import main

    run_command(main)


def _exit_now(number: int, _frame: object) -> None:
    """Exit without a traceback. Nothing needs to be cleaned up yet."""
    os._exit(128 + number)


if __name__ == "__main__":
    command()
