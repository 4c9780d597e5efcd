"""A suite that compares WebSocket APIs with AWS's, fact by fact."""
