"""Lists the open sessions of a stage or of the local server, or ends one of them."""

import argparse
import json
import logging
import os
import sys
import time
from typing import Final

from chalicelib import session_ids, wiring
from chalicelib.environment import SettingError
from chalicelib.models import Session
from local_gateway import arguments
from local_gateway.command import run_command
from operations import aws_errors, consent, stage_environment
from operations.consent import GUARDED_STAGES, ConsentError
from operations.session_end import EndError, end_session
from operations.session_list import list_sessions, table
from operations.stage_environment import StageError
from operations.terraform_stack import StackError

EXIT_INTERRUPTED: Final = 130


def main() -> int:
    """Run the command that the arguments name; return its exit code."""
    logging.getLogger("broadcast_sessions").addHandler(logging.NullHandler())
    options = _parser().parse_args()
    try:
        if options.verb == "sessions":
            run_sessions(options)
        else:
            run_end(options)
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except Exception as error:
        explanation = explain(error)
        if explanation is None:
            raise
        print(f"operate: {explanation}", file=sys.stderr)
        return 1
    return 0


def run_sessions(options: argparse.Namespace) -> None:
    """Print the open sessions. It may raise any error that `explain` explains."""
    _enter(options)
    found = list_sessions(wiring.stores().sessions, time.time())
    if options.json:
        for description in found:
            print(json.dumps(description))
    elif found:
        print(table(found))
    if not found:
        print(f"there are no open sessions {_place(options)}", file=sys.stderr)


def run_end(options: argparse.Namespace) -> None:
    """End a session. It may raise any error that `explain` explains."""
    session_id = parse_session_id(options.session)
    check_consent(session_id, options)
    _enter(options)
    counts = end_session(
        wiring.stores(),
        wiring.connections_of_stage(),
        wiring.pipeline(),
        wiring.outcomes(),
        session_id,
        lambda session: ask(session, options),
        time.time,
    )
    print(
        f"{session_id} has ended: "
        f"{counts.notified} notified, {counts.gone} gone, {counts.failed} failed"
    )


def parse_session_id(text: str) -> str:
    """Parse a session ID in any spelling that clients may use.

    Raises:
        EndError: The text is not a session ID.
    """
    session_id = session_ids.parse(text)
    if session_id is None:
        raise EndError(f"{text!r} is not a session ID; one looks like golden-eagle-427")
    return session_id


def check_consent(session_id: str, options: argparse.Namespace) -> None:
    """Check, before looking for the session, that its end can be confirmed.

    Raises:
        ConsentError: Another session was confirmed, or there is no terminal to ask at.
    """
    if options.confirm is None:
        consent.check_terminal("end", "make session-end ...", session_id)
    else:
        consent.check_name(session_id, session_ids.parse(options.confirm) or options.confirm)


def ask(session: Session, options: argparse.Namespace) -> None:
    """Ask to end a session, unless `--confirm` names it. A guarded stage asks for the session's ID.

    Raises:
        ConsentError: The answer was not a yes.
    """
    if options.confirm is None:
        question = (
            f"End {session.session_id} {_place(options)}, listeners: {session.listener_count}?"
        )
        is_guarded = options.stage in GUARDED_STAGES
        consent.ask(question, session.session_id if is_guarded else "yes")


def explain(error: Exception) -> str | None:
    """Explain an expected error in one line, or return None for an unexpected one."""
    if isinstance(error, ConsentError | EndError | StageError):
        return str(error)
    if isinstance(error, StackError):
        return _gist(str(error))
    if isinstance(error, SettingError):
        return f"{error}; see docs/how-to/operate.md"
    return aws_errors.explain(error)


def _gist(text: str) -> str:
    """Return the first line of Terraform's output with the first error in it."""
    first, *rest = text.splitlines()
    reasons = [line.partition("Error: ")[2].strip() for line in rest if "Error: " in line]
    return f"{first}: {reasons[0]}" if reasons else first


def _place(options: argparse.Namespace) -> str:
    return f"in {options.stage}" if options.stage else "on the local server"


def _enter(options: argparse.Namespace) -> None:
    """Add the environment of the stage, or of the local server, to this process's own."""
    if options.stage:
        stage_environment.enter(stage_environment.get_environment(options.stage))
        stage_environment.enter_credentials()
    else:
        stage_environment.enter(stage_environment.on_local_server(options.port))


def _parser() -> argparse.ArgumentParser:
    parser = arguments.Parser(prog="python -m operations.operate", description=__doc__)
    place = arguments.Parser(add_help=False)
    place.add_argument("--stage", help="a deployed stage, or local for the emulator")
    place.add_argument(
        "--port",
        type=arguments.port,
        default=8000,
        help="the local server's port, without --stage",
    )
    verbs = parser.add_subparsers(dest="verb", required=True)
    sessions = verbs.add_parser("sessions", parents=[place], help="list the open sessions")
    sessions.add_argument("--json", action="store_true", help="print one object per line")
    end = verbs.add_parser("end", parents=[place], help="end a session")
    end.add_argument("session", help="the session's ID, in any spelling")
    end.add_argument("--confirm", metavar="SESSION", help="end it without asking")
    return parser


if __name__ == "__main__":
    run_command(main)
