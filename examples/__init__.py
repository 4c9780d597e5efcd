"""Examples of how to use the service."""
