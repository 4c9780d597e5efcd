"""A local API Gateway for a Chalice application's WebSocket handlers.

The package depends on Chalice and API Gateway only, never on the application that it serves.
"""

__version__ = "0.1.0"
