"""Reference weights and one class's good parts -> a calibrated detector, without training."""

from __future__ import annotations

import hashlib
from functools import partial
from pathlib import Path

from rich.console import Console

from trd.config import Recipe
from trd.detector import Detector
from trd.errors import CheckpointError, RecipeError
from trd.stored import FACTS
from trd.training.fit import CHECKPOINTS, fit_prepared
from trd.training.prepare import list_parts, prepare_class
from trd.types import ClassFolder


def import_class(
    file: Path,
    place: ClassFolder,
    recipe: Recipe,
    out: Path,
    device: str = "auto",
    console: Console | None = None,
) -> Detector:
    """A detector in `out` from a reference checkpoint; z-scores and thresholds come from the data's validation split.

    Raises RecipeError for a recipe whose students are not the paper's, CheckpointError for a file that does not fit.
    """
    from trd.evidence.reverse_distillation.imported import (  # the one evidence that has such weights
        imported_state,
        refuse_other_students,
    )

    console = console or Console(quiet=True)
    recipe = recipe.for_class(place.name)
    refuse_other_students(recipe)
    if recipe.scoring.calibration == "cross":
        raise RecipeError("imported weights cannot be calibrated by 'cross': they were trained elsewhere, once")
    if (out / FACTS).exists() or (out / CHECKPOINTS).exists():
        raise CheckpointError(
            f"{out} holds a trained or imported detector: choose another --out, or delete that folder"
        )
    files, record = list_parts(place, recipe, console)
    if not file.is_file():
        raise CheckpointError(f"the reference checkpoint {file} does not exist")
    record["imported"] = {"file": str(file.resolve()), "sha256": hashlib.sha256(file.read_bytes()).hexdigest()}
    parts = prepare_class(files, recipe, record, console)
    return fit_prepared(parts, partial(imported_state, file), out, device, console)
