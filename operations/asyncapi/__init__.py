"""Generates the description of the protocol, and the clients' files that follow from it."""
