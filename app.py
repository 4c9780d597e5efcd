"""The Lambda functions. Each passes its event on to `chalicelib`."""

from typing import Any

from chalice.app import Chalice, CloudWatchEvent, Rate, WebsocketEvent

from chalicelib import wiring

app = Chalice(app_name="broadcast-sessions")
app.experimental_feature_flags.update(["WEBSOCKETS"])


@app.lambda_function()
def authorizer(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Allow or deny a connection."""
    return wiring.authorizer().authorize(event)


@app.on_ws_connect()
def connect(event: WebsocketEvent) -> dict[str, Any]:
    """Handle a new connection, which may bring a command in its URL."""
    return wiring.dispatcher(event.to_dict()).connect(event.to_dict())


@app.on_ws_message()
def message(event: WebsocketEvent) -> dict[str, Any]:
    """Handle a command in a frame, and answer it."""
    return wiring.dispatcher(event.to_dict()).message(event.to_dict())


@app.on_ws_disconnect()
def disconnect(event: WebsocketEvent) -> dict[str, Any]:
    """Handle a closed connection."""
    return wiring.dispatcher(event.to_dict()).disconnect(event.to_dict())


@app.lambda_function()
def outcome(event: dict[str, Any], _context: object) -> None:
    """Make a delivery that another function's answer must precede."""
    wiring.deliver(event)


@app.lambda_function()
def publish(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Publish captions of a pipeline, which invokes this function directly."""
    return wiring.publish(event)


@app.lambda_function()
def interpreter(event: dict[str, Any], _context: object) -> None:
    """Translate a spoken caption into the languages of the audience."""
    wiring.interpret(event)


@app.schedule(Rate(1, unit=Rate.MINUTES))
def sweep(event: CloudWatchEvent) -> None:
    """Repair, once a minute, state that no event has cleaned up."""
    wiring.sweep().run(event.context.aws_request_id)


wiring.start()
