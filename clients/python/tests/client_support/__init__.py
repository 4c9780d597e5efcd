"""Fakes for the tests of the client."""
