"""All stores on the tables of sessions, connections and captions."""

from collections.abc import Callable
from dataclasses import dataclass

from chalicelib.aws.dynamodb import DynamoDB
from chalicelib.store.caption_numbers import CaptionNumberStore
from chalicelib.store.captions import CaptionStore
from chalicelib.store.demand import DemandStore
from chalicelib.store.event_claims import EventClaimStore
from chalicelib.store.hand_overs import HandOverStore
from chalicelib.store.listeners import ListenerStore
from chalicelib.store.participants import ParticipantStore
from chalicelib.store.refused_commands import RefusedCommandStore
from chalicelib.store.seats import SeatStore
from chalicelib.store.sessions import SessionStore
from chalicelib.store.sweep_cursor import SweepCursorStore
from chalicelib.store.table import Table
from chalicelib.table_names import TableNames


@dataclass(frozen=True, slots=True)
class Stores:
    """One store of each kind."""

    sessions: SessionStore
    seats: SeatStore
    demand: DemandStore
    sweep_cursor: SweepCursorStore
    participants: ParticipantStore
    listeners: ListenerStore
    hand_overs: HandOverStore
    refused_commands: RefusedCommandStore
    event_claims: EventClaimStore
    caption_numbers: CaptionNumberStore
    captions: CaptionStore


def build_stores(
    dynamodb: DynamoDB,
    tables: TableNames,
    captions_kept_seconds: int,
    clock: Callable[[], float],
) -> Stores:
    """Build the stores on one client.

    Args:
        dynamodb: The client.
        tables: The names of the tables.
        captions_kept_seconds: How long captions are kept; 0 keeps none.
        clock: Returns the Unix time in seconds.
    """
    sessions = Table(dynamodb, tables.sessions, "sessionId")
    connections = Table(dynamodb, tables.connections, "connectionId")
    return Stores(
        sessions=SessionStore(sessions, connections, clock),
        seats=SeatStore(sessions, clock),
        demand=DemandStore(sessions, clock),
        sweep_cursor=SweepCursorStore(sessions),
        participants=ParticipantStore(connections, clock),
        listeners=ListenerStore(connections, clock),
        hand_overs=HandOverStore(connections, clock),
        refused_commands=RefusedCommandStore(connections, clock),
        event_claims=EventClaimStore(connections, clock),
        caption_numbers=CaptionNumberStore(sessions, clock),
        captions=CaptionStore(dynamodb, tables.captions, captions_kept_seconds, clock),
    )
