"""All stores on the two tables of sessions and connections."""

from collections.abc import Callable
from dataclasses import dataclass

from chalicelib.aws.dynamodb import DynamoDB
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


def build_stores(
    dynamodb: DynamoDB, sessions_table: str, connections_table: str, clock: Callable[[], float]
) -> Stores:
    """Build the stores on one client."""
    sessions = Table(dynamodb, sessions_table, "sessionId")
    connections = Table(dynamodb, connections_table, "connectionId")
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
    )
