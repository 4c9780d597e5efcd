"""Keeps the environment of the process that runs the tests out of the programs that they start."""

import os

from devserver.command import bypass_proxies

# Tests reach their servers on this machine even where the environment names a proxy.
bypass_proxies(os.environ)

# `make test` passes its own options and level on to each make that a test runs.
for name in ("MAKEFLAGS", "MAKELEVEL", "MAKEOVERRIDES", "MFLAGS"):
    os.environ.pop(name, None)
