"""The command of the conformance suite."""

import os
import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).parents[1]


def test_a_missing_package_is_an_error_of_one_line(tmp_path: Path) -> None:
    missing = "raise ModuleNotFoundError('No module named pytest', name='pytest')"
    (tmp_path / "pytest.py").write_text(missing)
    run = subprocess.run(
        [sys.executable, "-m", "conformance", "--help"],
        cwd=FOLDER,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (run.returncode, run.stderr) == (
        1,
        "conformance: the module pytest is missing; "
        "in local-gateway, run: pip install '.[aws]' pytest\n",
    )
