"""Compares a target with AWS, and writes its results and the matrix of all targets."""

import argparse
import signal
import sys
from pathlib import Path

from conformance import matrix, results, runner
from conformance.facts import load_facts
from conformance.targets import names
from conformance.targets.base import TargetError
from conformance.targets.stack import SIGNALS


def main() -> int:
    """Run the suite against the target that the argument names; return the exit code."""
    for number in SIGNALS:
        signal.signal(number, signal.default_int_handler)
    parser = argparse.ArgumentParser(prog="python -m conformance", description=__doc__)
    parser.add_argument("target", choices=names.MODULES)
    parser.add_argument(
        "--results",
        type=Path,
        metavar="FOLDER",
        help="write the results there, and leave the matrix unchanged",
    )
    options = parser.parse_args()
    if options.results is not None:
        options.results.mkdir(parents=True, exist_ok=True)
    try:
        found = runner.run(names.load_target(options.target))
    except TargetError as error:
        print(f"conformance: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("conformance: interrupted; the results are unchanged", file=sys.stderr)
        return 130
    print_rows(found)
    results.write_results(found, options.results or results.FOLDER)
    if options.results is None:
        matrix.PAGE.write_text(matrix.render(matrix.read_all_results()))
    return int(found.target == "local-gateway" and not passes_all(found))


def print_rows(found: results.Results) -> None:
    """Print a line per fact."""
    for it in load_facts():
        row = found.rows[it.number]
        suffix = "" if row.outcome == "passes" else f" [{row.observed}]"
        print(f"{it.number:>5}  {row.outcome:10}  {it.statement}{suffix}")


def passes_all(found: results.Results) -> bool:
    """Return whether the target differs from AWS in no row."""
    return all(row.outcome != "differs" for row in found.rows.values())
