"""Programs of `benchmarks/` find what they import."""

import subprocess
import sys
from pathlib import Path

import pytest

PROGRAMS = Path(__file__).parents[1] / "benchmarks"
if not PROGRAMS.is_dir():
    pytest.skip("not in a checkout", allow_module_level=True)

FOLDERS = (".", "station", "campaign", "judgement", "structured", "registration")
IMPORT = """
import runpy, sys
from pathlib import Path

for folder in sys.argv[1:]:
    before, path = set(sys.modules), list(sys.path)
    sys.path.insert(0, folder)
    for program in sorted(Path(folder).glob("*.py")):
        runpy.run_path(str(program), run_name="imported")
    sys.path[:] = path
    for name in set(sys.modules) - before:  # modules beside the programs may have the same name in another folder
        if (getattr(sys.modules[name], "__file__", None) or "").startswith(folder):
            del sys.modules[name]
"""


def test_programs_can_be_imported() -> None:
    """In one process: most of the time goes into the libraries that all of them import."""
    folders = [PROGRAMS / folder for folder in FOLDERS]
    assert all(list(folder.glob("*.py")) for folder in folders)
    done = subprocess.run(
        [sys.executable, "-c", IMPORT, *map(str, folders)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
