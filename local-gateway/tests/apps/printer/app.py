"""An application that writes the text of its clients to standard output, unchanged."""

import logging
import sys
import threading

from chalice import Chalice

app = Chalice(app_name="printer")
app.experimental_feature_flags.update(["WEBSOCKETS"])

# The handler keeps the stream from the time of the import, as logging's default handlers do.
logger = logging.getLogger("lines")
logger.handlers = [logging.StreamHandler(sys.stdout)]
logger.propagate = False


@app.on_ws_message()
def message(event):
    command, _, text = event.body.partition(" ")
    if command == "write":
        print(text, end="", flush=True)
    elif command == "log":
        logger.warning(text)
    elif command == "complain":
        print(text, file=sys.stderr)
    elif command == "concurrently":
        threads = [threading.Thread(target=log_often, args=(text,)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    return {"body": "done"}


def log_often(text):
    for number in range(250):
        print(f"line {number}")
        logger.warning(text)
