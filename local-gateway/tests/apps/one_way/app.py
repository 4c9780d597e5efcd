"""An application without an authorizer and without route responses."""

from chalice import Chalice

app = Chalice(app_name="one_way")
app.experimental_feature_flags.update(["WEBSOCKETS"])
EVENTS = []


@app.on_ws_connect()
def connect(event):
    EVENTS.append(event.to_dict())


@app.on_ws_message()
def message(event):
    EVENTS.append(event.to_dict())
    if event.body == "raise":
        raise RuntimeError
    return {"statusCode": 200, "body": "clients don't receive this"}


@app.lambda_function()
def events(event, context):
    return EVENTS
