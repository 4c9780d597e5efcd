"""The commands for stages, which aren't packaged with the functions."""
