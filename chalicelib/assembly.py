"""The use cases with their collaborators."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from chalicelib.audience import Audience
from chalicelib.aws.connections import Connections
from chalicelib.captions import Captions
from chalicelib.deliveries import Deliveries, SliceDeliveries
from chalicelib.dispatch import Dispatcher
from chalicelib.ending import Ending
from chalicelib.joining import Joining
from chalicelib.lifecycle import Lifecycle
from chalicelib.limits import Graces, Limits
from chalicelib.membership import Membership
from chalicelib.notices import Notices
from chalicelib.outcomes import Outcomes
from chalicelib.pipeline import Pipeline
from chalicelib.presence import Presence
from chalicelib.publishing import Publishing
from chalicelib.rate_limits import RateLimits
from chalicelib.refresh import Refresh
from chalicelib.refusals import Refusals
from chalicelib.sessions import Sessions
from chalicelib.slices import Slices
from chalicelib.status_notices import StatusNotices
from chalicelib.store.stores import Stores


@dataclass(frozen=True, slots=True)
class UseCases:
    """One object per use case."""

    sessions: Sessions
    joining: Joining
    refresh: Refresh
    presence: Presence
    refusals: Refusals
    lifecycle: Lifecycle
    deliveries: Deliveries
    captions: Captions
    publishing: Publishing
    slice_deliveries: SliceDeliveries
    status_notices: StatusNotices


def build_use_cases(
    stores: Stores,
    connections: Connections,
    rate_limits: RateLimits,
    limits: Limits,
    graces: Graces,
    *,
    pipeline: Pipeline,
    outcomes: Outcomes,
    endpoint_url: str,
    clock: Callable[[], float],
    new_session_id: Callable[[], str],
    new_invite_code: Callable[[], str],
    sleep: Callable[[float], None] = time.sleep,
    slices: Slices | None = None,
) -> UseCases:
    """Build the use cases of the API whose @connections are at `endpoint_url`.

    Without slices, they make all posts themselves.
    """
    audience = Audience(stores, pipeline, outcomes, endpoint_url, clock)
    notices = Notices(stores, connections, audience, pipeline, clock, sleep, slices)
    ending = Ending(stores, notices, pipeline, clock)
    lifecycle = Lifecycle(stores, notices, ending, connections, pipeline, graces, clock, sleep)
    membership = Membership(stores, audience, limits, clock)
    joining = Joining(stores, audience, membership, rate_limits, limits, clock)
    publishing = Publishing(stores, notices, clock, sleep)
    return UseCases(
        sessions=Sessions(
            stores,
            membership,
            notices,
            ending,
            pipeline,
            rate_limits,
            limits,
            clock,
            new_session_id,
            new_invite_code,
        ),
        joining=joining,
        refresh=Refresh(
            stores, audience, membership, joining, notices, rate_limits, limits, clock, sleep
        ),
        presence=Presence(stores, membership, limits, clock),
        refusals=Refusals(stores, rate_limits, limits.max_refused_commands),
        lifecycle=lifecycle,
        deliveries=Deliveries(stores, lifecycle, connections, clock, sleep),
        captions=Captions(
            stores, membership, publishing, pipeline, limits.captions_per_minute, clock
        ),
        publishing=publishing,
        slice_deliveries=SliceDeliveries(notices, ending),
        status_notices=StatusNotices(stores, lifecycle, audience, connections, clock, sleep),
    )


def build_dispatcher(
    use_cases: UseCases,
    rate_limits: RateLimits,
    outcomes: Outcomes,
    endpoint_url: str,
    clock: Callable[[], float],
) -> Dispatcher:
    """Build the dispatcher of the API whose @connections are at `endpoint_url`."""
    return Dispatcher(
        use_cases.sessions,
        use_cases.joining,
        use_cases.refresh,
        use_cases.presence,
        use_cases.lifecycle,
        use_cases.captions,
        use_cases.refusals,
        rate_limits,
        outcomes,
        endpoint_url,
        clock,
    )
