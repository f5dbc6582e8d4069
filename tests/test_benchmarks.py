"""Programs of `benchmarks/` find what they import."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAMS = Path(__file__).parents[1] / "benchmarks"
if not PROGRAMS.is_dir():
    pytest.skip("not in a checkout", allow_module_level=True)

IMPORT = "import runpy, sys\nfor path in sys.argv[1:]: runpy.run_path(path, run_name='imported')"


@pytest.mark.parametrize("folder", [".", "station", "campaign", "judgement", "structured", "registration"])
def test_programs_can_be_imported(folder: str) -> None:
    programs = sorted((PROGRAMS / folder).glob("*.py"))
    assert programs
    done = subprocess.run(
        [sys.executable, "-c", IMPORT, *map(str, programs)],
        env={**os.environ, "PYTHONPATH": str(PROGRAMS / folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
