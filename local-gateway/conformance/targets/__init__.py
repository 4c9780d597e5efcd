"""The WebSocket APIs that the suite can test."""
