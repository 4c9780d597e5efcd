"""The targets by name. A target's module is imported only when it is used."""

import importlib
from typing import Final, cast

from conformance.targets.base import Target

MODULES: Final = {
    "local-gateway": "local_gateway",
    "ministack": "ministack",
    "serverless-offline": "serverless_offline",
    "aws": "aws",
}


def load_target(name: str) -> Target:
    """Import a target by its name."""
    module = importlib.import_module(f"conformance.targets.{MODULES[name]}")
    return cast(Target, module.TARGET)
