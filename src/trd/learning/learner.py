"""Which detector can have a lesson, of defects and of good parts, told without PyTorch."""

from __future__ import annotations

from pathlib import Path

from trd.config import KNOWN_DEFECTS, Recipe
from trd.errors import CheckpointError
from trd.export.parts import data_place
from trd.learning.record import read_lesson
from trd.packages.package import is_package
from trd.stored import DetectorFacts, detector_folder, read_facts


def learner(run: Path, data: Path | None) -> tuple[DetectorFacts, Path]:
    """Facts and folder of a detector that can have a lesson.

    run: its folder, or a run folder with one class. data: of the class, where it was moved since the training. Raises
    CheckpointError or DataError with the reason where it cannot.
    """
    if is_package(run):
        raise CheckpointError(f"{run} is a package, which cannot learn: give the run folder that it was made from")
    folder = detector_folder(run)
    facts, _ = read_facts(folder)
    lesson = read_lesson(folder)
    if KNOWN_DEFECTS in facts.recipe.evidence or lesson is not None:
        before = (lesson or {}).get("learned_from", "the detector before")
        raise CheckpointError(f"{folder} has had a lesson: teach {before} all defects and good parts together")
    if facts.frame.tiles is not None:
        raise CheckpointError(
            f"{folder} looks at tiles or at several views, which a lesson does not: train without them"
        )
    if "cross" in (facts.calibration.kind, facts.recipe.scoring.calibration):  # and calibrated anew, perhaps
        raise CheckpointError(
            f"{folder} was calibrated on the parts that it was trained on (scoring.calibration = 'cross'), and a "
            "lesson needs good parts that nothing was fitted on: train with --set scoring.calibration=split"
        )
    data_place(folder, data)
    return facts, folder


def growing_recipe(recipe: Recipe) -> Recipe:
    """Of the evidence that takes in good parts; the maps of the rest stay as they are. Raises CheckpointError where
    there is none."""
    kinds = recipe.growing
    if not kinds:
        raise CheckpointError(
            f"none of its evidence ({', '.join(recipe.evidence)}) takes in good parts without a training: train with "
            "them, or add a memory bank (--set evidence.memory_bank=true)"
        )
    return recipe.model_copy(update={"evidence": {kind: recipe.evidence[kind] for kind in kinds}})
