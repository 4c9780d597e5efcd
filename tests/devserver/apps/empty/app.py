"""An application without a route."""

from chalice import Chalice

app = Chalice(app_name="empty")
