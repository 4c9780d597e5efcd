"""Lists the open sessions of a stage, and ends one, with the credentials of whoever runs this.

Prints nothing by which anybody could be found or let in: no connection or user, no invite code.
What AWS says of a refusal is not shown either, for it names whoever was refused.
"""

import argparse
import json
import logging
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final, cast

from botocore.exceptions import BotoCoreError, ClientError

from chalicelib import protocol, session_ids, wiring
from chalicelib.aws.connections import FAN_OUT_SECONDS, Connections, FanOut, Gone, PostFailed
from chalicelib.aws.dynamodb import Refused
from chalicelib.aws.retries import AttemptFailed
from chalicelib.errors import ServiceUnavailable
from chalicelib.lifecycle import Lifecycle
from chalicelib.models import Session
from chalicelib.settings import SettingError
from chalicelib.store import Store
from devserver import arguments
from devserver.command import run_command
from scripts import stack, stage_environment
from scripts.stack import StackError
from scripts.stage_environment import StageError

NOBODY: Final = "nobody="
"""No connection's id."""

COLUMNS: Final = ("SESSION", "STATUS", "LISTENERS", "LANGUAGES", "AGE", "UNTIL", "SOURCE", "TIER")

EXIT_INTERRUPTED: Final = 130

_FORBIDDEN: Final = 403

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
"""What IAM asks for where it is not the operation of DynamoDB's: a transaction takes what its items
take, and credentials may be made from others.

Source: "IAM and transactions", Amazon DynamoDB Developer Guide.
"""

Description = dict[str, Any]


class OperateError(Exception):
    """What is asked for is refused, or cannot be done; the message says why."""


@dataclass
class CountingConnections:
    """Counts what became of each post."""

    connections: Connections
    told: int = 0
    gone: int = 0
    failed: int = 0

    def post(self, connection_id: str, text: str) -> None:
        """Raises: Gone, PostFailed."""
        try:
            self.connections.post(connection_id, text)
        except Gone:
            self.gone += 1
            raise
        except PostFailed:
            self.failed += 1
            raise
        self.told += 1

    def fan_out(
        self, connection_ids: Sequence[str], text: str, limit_seconds: float = FAN_OUT_SECONDS
    ) -> FanOut:
        done = self.connections.fan_out(connection_ids, text, limit_seconds)
        self.told += done.reached
        self.gone += len(done.gone)
        self.failed += done.failed
        return done


def main() -> int:
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
    """Raises: whatever `explain` explains."""
    now_seconds = time.time()
    found = list_sessions(_lifecycle(options).store, now_seconds)
    if options.json:
        for each in found:
            print(json.dumps(each))
    elif found:
        print(table(found))
    if not found:
        print(f"there are no open sessions {_place(options)}", file=sys.stderr)


def run_end(options: argparse.Namespace) -> None:
    """Raises: OperateError; whatever else `explain` explains."""
    session_id = parse_session_id(options.session)
    check_consent(session_id, options)
    told = end_session(_lifecycle(options), session_id, lambda session: ask(session, options))
    print(f"{session_id} has ended: {told.told} told, {told.gone} gone, {told.failed} failed")


def list_sessions(store: Store, now_seconds: float) -> list[Description]:
    """Describe all open sessions, those with the most listeners first."""
    sessions = (each for each in store.list_sessions() if each.is_open(now_seconds))
    found = (describe(session, now_seconds) for session in sessions)
    return sorted(found, key=lambda each: (-each["listenerCount"], each["sessionId"]))


def describe(session: Session, now_seconds: float) -> Description:
    """Describe a session as its speaker may see it, in the protocol's words and units."""
    shown = protocol.session_status(session)
    del shown["type"]
    return {
        **shown,
        "ageSeconds": max(0, int(now_seconds - session.created_at_ms / 1000)),
        "sourceLanguage": session.source_language,
        "qualityTier": session.quality_tier,
    }


def table(found: Sequence[Description]) -> str:
    rows = [COLUMNS, *(_row(each) for each in found)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)
    return "\n".join(lines)


def _row(found: Description) -> tuple[str, ...]:
    languages = sorted(found["languages"].items(), key=lambda item: (-item[1], item[0]))
    hours, seconds = divmod(found["ageSeconds"], 3600)
    until = datetime.fromtimestamp(found["expiresAt"] / 1000, UTC)
    return (
        found["sessionId"],
        found["status"],
        str(found["listenerCount"]),
        ", ".join(f"{language} {count}" for language, count in languages) or "-",
        f"{hours} h {seconds // 60:02} min",
        f"{until:%Y-%m-%d %H:%M} UTC",
        found["sourceLanguage"],
        found["qualityTier"],
    )


def parse_session_id(text: str) -> str:
    """Raises: OperateError for what cannot be a session's id, however it is said."""
    session_id = session_ids.parse(text)
    if session_id is None:
        raise OperateError(f"{text!r} is no session id; one looks like golden-eagle-427")
    return session_id


def check_consent(session_id: str, options: argparse.Namespace) -> None:
    """Refuse before anything is looked for what nobody can be asked about. Raises: OperateError."""
    confirmed = options.confirm
    if confirmed is not None and session_ids.parse(confirmed) != session_id:
        raise OperateError(f"{confirmed} was confirmed, and not {session_id}")
    if confirmed is None and not stack.is_terminal():
        raise OperateError(
            f"to end {session_id} where nobody can be asked, say so: --confirm {session_id} "
            f"(make session-end ... CONFIRM={session_id})"
        )


def ask(session: Session, options: argparse.Namespace) -> None:
    """Ask whoever has not confirmed it yet. In a guarded stage a yes is not enough.

    Raises: StackError unless he agrees.
    """
    if options.confirm is None:
        asked = f"End {session.session_id} {_place(options)}, listeners: {session.listener_count}?"
        is_guarded = options.stage in stack.GUARDED_STAGES
        stack.confirm(asked, session.session_id if is_guarded else "yes")


def end_session(
    lifecycle: Lifecycle, session_id: str, agree: Callable[[Session], None]
) -> CountingConnections:
    """End an open session as if its time were up, and count who was told.

    What breaks off once `agree` has returned is finished by the sweep, which ends what has expired.
    Two at a time do no harm: one of them ends it.

    Raises: OperateError; whatever `agree` raises, and then nothing has changed.
    """
    store = lifecycle.store
    session = store.find_session(session_id)
    if session is None:
        raise OperateError(f"there is no open session {session_id}")
    check_connections(lifecycle.connections)
    agree(session)
    counting = CountingConnections(lifecycle.connections)
    # None also where a request was sent again that was done: the end itself tells.
    store.expire_session(session_id)
    ending = replace(lifecycle, connections=cast(Connections, counting))
    if not ending.end_expired(session_id):
        raise OperateError(f"{session_id} has ended meanwhile, and not by this")
    return counting


def check_connections(connections: Connections) -> None:
    """Look whether anybody can be told, before a session ends of which nobody would hear.

    Raises: OperateError.
    """
    try:
        connections.post(NOBODY, "{}")
    except Gone:
        return
    except PostFailed as error:
        if error.status == _FORBIDDEN:
            raise _denied("execute-api:ManageConnections") from None
        raise OperateError(
            f"nothing was changed, for nobody could be told: @connections gave {error}"
        ) from None


def explain(error: Exception) -> str | None:
    """Say in one line what went wrong; None if it is nothing that could be expected."""
    if isinstance(error, OperateError | StageError):
        return str(error)
    if isinstance(error, StackError):
        return _gist(str(error))
    if isinstance(error, SettingError):
        return f"{error}; see docs/how-to/operate.md"
    if isinstance(error, ServiceUnavailable):
        cause = error.__cause__
        is_lost = isinstance(cause, AttemptFailed)
        return f"AWS cannot be reached: {cause}" if is_lost else "DynamoDB is busy"
    if isinstance(error, Refused):
        return _explain_refusal(error.code, error.operation)
    if isinstance(error, ClientError):
        return _explain_refusal(error.response["Error"]["Code"], error.operation_name)
    if isinstance(error, BotoCoreError):
        return " ".join(f"AWS cannot be asked: {error}".split())
    return None


def _explain_refusal(code: str, operation: str) -> str:
    if code in _DENIED:
        return str(_denied(_ACTIONS.get(operation, f"dynamodb:{operation}")))
    if code in _BAD_CREDENTIALS:
        return f"the AWS credentials are not valid, or have expired ({code})"
    if code == "ResourceNotFoundException":
        return "the stage's tables are not there; are these the credentials of its account?"
    return f"DynamoDB has refused {operation}: {code}"


def _denied(action: str) -> OperateError:
    return OperateError(
        f"access denied: these credentials lack {action}; see docs/how-to/operate.md"
    )


def _gist(said: str) -> str:
    """Take the first line, and the first that Terraform calls an error, of all that it said."""
    first, *rest = said.splitlines()
    reasons = [line.partition("Error: ")[2].strip() for line in rest if "Error: " in line]
    return f"{first}: {reasons[0]}" if reasons else first


def _place(options: argparse.Namespace) -> str:
    return f"in {options.stage}" if options.stage else "on the local server"


def _lifecycle(options: argparse.Namespace) -> Lifecycle:
    """Wire what the functions are wired of, to the stage that is meant.

    Raises: StageError, StackError, SettingError.
    """
    if options.stage:
        stage_environment.enter(stage_environment.find(options.stage))
        stage_environment.enter_credentials()
    else:
        stage_environment.enter(stage_environment.on_local_server(options.port))
    return wiring.sweep().lifecycle


def _parser() -> argparse.ArgumentParser:
    parser = arguments.Parser(prog="python -m scripts.operate", description=__doc__)
    place = arguments.Parser(add_help=False)
    place.add_argument("--stage", help="a deployed one, or local for the emulator")
    place.add_argument(
        "--port", type=arguments.port, default=8000, help="the local server's, without a stage"
    )
    verbs = parser.add_subparsers(dest="verb", required=True)
    sessions = verbs.add_parser("sessions", parents=[place], help="list the open sessions")
    sessions.add_argument("--json", action="store_true", help="one object a line")
    end = verbs.add_parser("end", parents=[place], help="end a session")
    end.add_argument("session", help="its id, as people say it")
    end.add_argument("--confirm", metavar="SESSION", help="end it without asking")
    return parser


if __name__ == "__main__":
    run_command(main)
