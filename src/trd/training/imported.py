"""Reference weights and one class's good parts -> a calibrated detector, without training."""

from __future__ import annotations

import hashlib
from pathlib import Path

import torch
from rich.console import Console

from trd.config import Recipe
from trd.detector import FACTS, Detector
from trd.errors import CheckpointError, RecipeError
from trd.files import write_json
from trd.model.network import build_network
from trd.model.precision import resolve_device
from trd.model.reference import read_reference_checkpoint
from trd.model.student import PAPER_BLOCKS
from trd.training.fit import CHECKPOINT, calibrate_and_save
from trd.training.prepare import list_parts, prepare_class


def import_class(
    file: Path,
    data: Path,
    class_name: str,
    recipe: Recipe,
    out: Path,
    device: str = "auto",
    console: Console | None = None,
) -> Detector:
    """A detector in `out` from a reference checkpoint; z-scores and thresholds come from the data's validation split.

    Raises RecipeError for a recipe whose students are not the paper's, CheckpointError for a file that does not fit.
    """
    console = console or Console(quiet=True)
    recipe = recipe.for_class(class_name or data.resolve().name)
    _refuse_other_students(recipe)
    if (out / FACTS).exists() or (out / CHECKPOINT).exists():
        raise CheckpointError(
            f"{out} holds a trained or imported detector: choose another --out, or delete that folder"
        )
    students = read_reference_checkpoint(file, tuple(recipe.modalities))
    files, record = list_parts(data, class_name, recipe, console)
    record["imported"] = {"file": str(file.resolve()), "sha256": hashlib.sha256(file.read_bytes()).hexdigest()}
    write_json(out / "training.json", record)
    parts = prepare_class(files, recipe, record)
    network = build_network(recipe)
    network.students = torch.nn.ModuleDict(students)
    return calibrate_and_save(parts, network, out, resolve_device(device), console)


def _refuse_other_students(recipe: Recipe) -> None:
    student, teacher = recipe.student, recipe.teacher
    complete = student.filter and student.amplifier and student.branches == "per_modality"
    paper = teacher.name == "wide_resnet50_2" and not teacher.standardize and student.blocks == PAPER_BLOCKS
    if len(recipe.modalities) != 2 or not (complete and paper):
        raise RecipeError(
            f"recipe '{recipe.name}' does not have the paper's two students: reference weights fit mvtec3d-rgb-depth, "
            "mvtec3d-rgb-normals and eyecandies-rgb-normals"
        )
