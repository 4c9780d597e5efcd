"""Servers, terminals and requests for the tests."""
