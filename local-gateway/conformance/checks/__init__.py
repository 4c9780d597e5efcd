"""The checks: one test per fact.

A test first observes, with the fixture `observe`, and then compares. The observation is the text
that the matrix shows for a target that differs.
"""
