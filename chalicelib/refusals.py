"""The consequences of a refused command."""

from chalicelib import telemetry
from chalicelib.errors import InternalError, ServiceError, ServiceUnavailable
from chalicelib.models import Caller
from chalicelib.rate_limits import RateLimits
from chalicelib.store.stores import Stores


class Refusals:
    """Counts refused attempts per user or address, and refused commands per connection."""

    def __init__(self, stores: Stores, rate_limits: RateLimits, max_refused_commands: int) -> None:
        self._rate_limits = rate_limits
        self._refused_commands = stores.refused_commands
        self._max_refused_commands = max_refused_commands

    def refusal(
        self, error: Exception, caller: Caller, *, with_connection: bool = False
    ) -> ServiceError:
        """Return the refusal that answers an error, and count it if it is a refused attempt.

        After too many refused attempts, the refusal is always the same.

        Args:
            error: The error.
            caller: The caller.
            with_connection: Whether the limit of connections counts this one in the same write.
        """
        refusal = to_refusal(error)
        if not refusal.is_attempt:
            return refusal
        return self._rate_limits.count_refusal(caller, with_connection=with_connection) or refusal

    def count_refused_command(self, refusal: ServiceError, caller: Caller) -> bool:
        """Count a refused command, and return whether to close its connection.

        Failures of the service are not counted. If the count fails, the connection stays open,
        because the refusal is the answer in any case.
        """
        if isinstance(refusal, ServiceUnavailable | InternalError):
            return False
        try:
            count = self._refused_commands.count(caller.connection_id)
        except ServiceUnavailable:
            telemetry.log_warning("refused command not counted")
            return False
        except Exception:
            telemetry.log_failure()
            return False
        return count >= self._max_refused_commands


def to_refusal(error: Exception) -> ServiceError:
    """Return an error as a refusal. An unexpected error is logged and becomes INTERNAL_ERROR."""
    if isinstance(error, ServiceError):
        return error
    telemetry.log_failure()
    return InternalError("An unexpected error occurred in the service.")
