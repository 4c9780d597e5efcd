"""An application without routes."""

from chalice import Chalice

app = Chalice(app_name="empty")
