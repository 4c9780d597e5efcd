"""Loaded into the emulator: records the calls that roles make, and throttles those it is told to.

Python imports a module of this name from its path when it starts. ministack 1.5.33 records calls
too (CLOUDTRAIL_RECORDING), but not those to @connections, and names a key instead of a role.
"""

import json
import os
import sys
from pathlib import Path

# The functions' processes inherit the path and are left alone.
if any("from ministack import app" in argument for argument in sys.orig_argv):
    from ministack.core import iam_evaluator
    from ministack.core.responses import get_account_id

    calls, throttled = Path(os.environ["RECORDED_CALLS"]), Path(os.environ["THROTTLED_CALLS"])
    enforce = iam_evaluator.enforce

    def record_and_enforce(key, action, service, region, resource_arn="*", service_context=None):
        caller = iam_evaluator.resolve_principal(key or "", get_account_id())
        _, assumed, name = getattr(caller, "arn", "").partition(":assumed-role/")
        if not assumed:
            return enforce(key, action, service, region, resource_arn, service_context)
        call = [name.partition("/")[0], action, resource_arn]
        if throttled.exists() and call in json.loads(throttled.read_text()):
            return iam_evaluator.AuthError("ThrottlingException", "Rate exceeded")
        with calls.open("a") as file:
            file.write(json.dumps(call) + "\n")
        return enforce(key, action, service, region, resource_arn, service_context)

    iam_evaluator.enforce = record_and_enforce
