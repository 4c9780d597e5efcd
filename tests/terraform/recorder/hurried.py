"""A handler for the sweep that runs out of time after one session, which else takes 40 s of work.

Whoever runs functions with this folder on Python's path can name it as theirs.
"""

import os
import time
from itertools import count

from chalicelib import wiring
from chalicelib.settings import read_settings
from chalicelib.sweep import build_sweep


def sweep(_event, _context):
    settings = read_settings(os.environ)
    in_a_hurry = build_sweep(
        wiring.stores(),
        wiring.connections_of_stage(),
        settings.graces,
        settings.limits.max_listeners,
        pipeline=wiring.pipeline(),
        outcomes=wiring.outcomes(),
        endpoint_url=settings.connections_url or "",
        clock=time.time,
        stopwatch=count(step=30).__next__,
        page_sessions=1,
    )
    in_a_hurry.run()
