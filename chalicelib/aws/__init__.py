"""A small client for the AWS services that the functions call."""
