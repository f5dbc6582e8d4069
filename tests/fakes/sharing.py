"""What takes long to make, made once for all worker processes of pytest-xdist."""

from __future__ import annotations

import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import pytest
from filelock import FileLock
from rich.console import Console

from trd.config import Recipe
from trd.runs import Run

if TYPE_CHECKING:
    from trd.export.export import Exported
    from trd.packages.manifest import Runtime

Made = TypeVar("Made")
Shared = Callable[[str, Callable[[Path], Made]], Made]
"""`shared(name, make)`: what `make(folder)` gives; other processes get a copy of it and the same folder, in which
nobody writes any more."""


def sharing(factory: pytest.TempPathFactory) -> Shared:
    base = factory.getbasetemp()
    base = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "shared"
    base.mkdir(exist_ok=True)

    def shared(name: str, make: Callable[[Path], Made]) -> Made:
        folder, kept = base / name, base / f"{name}.pickle"
        with FileLock(base / f"{name}.lock"):
            if kept.exists():
                found: Made = pickle.loads(kept.read_bytes())
                return found
            shutil.rmtree(folder, ignore_errors=True)  # of an attempt that failed in another worker
            folder.mkdir()
            made = make(folder)
            kept.write_bytes(pickle.dumps(made))
            return made

    return shared


def run_of(data: Path, folder: Path, recipe: Recipe, classes: list[str] | None = None, name: str = "run") -> Path:
    """A run folder of that name in `folder`, trained and evaluated."""
    run = Run.open(data, folder / name, recipe, classes or ["biscuit"])
    run.train_and_evaluate("cpu")
    run.raise_failures()
    return folder / name


def made_for(runtime: Runtime, run: Path, folder: Path) -> Exported:
    """A package of a run folder, in float32."""
    from trd.export.export import ExportJob, export

    return export(ExportJob(run, folder / f"{runtime}.trdm", runtime), Console(quiet=True))
