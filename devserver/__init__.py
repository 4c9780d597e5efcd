"""A local API Gateway for a Chalice application's WebSocket handlers.

Knows Chalice and API Gateway, and nothing of the application it serves.
"""
