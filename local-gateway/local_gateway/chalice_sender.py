"""Chalice's sender, `app.websocket_api`, with the gateway's endpoint instead of execute-api's.

Chalice configures the sender when a WebSocket handler receives an event. On AWS, each function has
a process of its own, so the sender of any other function isn't configured, and raises an error.
Here, all functions share one sender, which keeps for each function whether it is configured.
"""

from chalice.app import Chalice, WebsocketAPI

from local_gateway.functions import running_function


class _Sender(WebsocketAPI):  # type: ignore[misc]
    """A sender whose `configure` methods apply to the running function."""

    def redirect(self, url: str) -> None:
        """Set the gateway's endpoint. A sender that the import configured works everywhere."""
        self._is_configured_everywhere = self.__dict__.pop("_endpoint") is not None
        self._url = url
        self._configured: set[str] = set()

    @property
    def _endpoint(self) -> str | None:
        """The attribute that Chalice sets to configure the sender, and then reads."""
        name = running_function.get()
        # A thread that the application started belongs to no function.
        is_configured = bool(self._configured) if name is None else name in self._configured
        return self._url if is_configured or self._is_configured_everywhere else None

    @_endpoint.setter
    def _endpoint(self, _url: str) -> None:
        self._configured.add(running_function.get() or "")


def redirect_sender(app: Chalice, url: str) -> None:
    """Let the application's sender post to the gateway.

    Has no effect the second time. An `app` that another package defines outlives a reload.
    """
    if not isinstance(app.websocket_api, _Sender):
        app.websocket_api.__class__ = _Sender
        app.websocket_api.redirect(url)
