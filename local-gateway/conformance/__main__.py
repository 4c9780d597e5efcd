"""Runs the command, if the packages that it needs are installed."""

import sys

try:
    from conformance.command import main
except ModuleNotFoundError as error:
    sys.exit(
        f"conformance: the module {error.name} is missing; "
        "in local-gateway, run: pip install '.[aws]' pytest"
    )

if __name__ == "__main__":
    sys.exit(main())
