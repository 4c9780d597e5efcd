"""A handler for the sweep that runs out of time after one session, which else takes 40 s of work.

Whoever runs functions with this folder on Python's path can name it as theirs.
"""

from dataclasses import replace
from itertools import count

from chalicelib import wiring


def sweep(_event, _context):
    in_a_hurry = replace(wiring.sweep(), page_sessions=1, stopwatch=count(step=30).__next__)
    in_a_hurry.run()
