"""Weights of the reference implementation -> the state of a fitted network, without training."""

from __future__ import annotations

from pathlib import Path

import torch

from trd.config import REVERSE_DISTILLATION, Recipe
from trd.engines.pytorch.precision import resolve_device
from trd.errors import RecipeError
from trd.evidence.base import FitJob
from trd.evidence.detection import TEACHER, joined
from trd.evidence.reverse_distillation.network.reference_weights import read_reference_checkpoint
from trd.evidence.reverse_distillation.network.student import PAPER_BLOCKS
from trd.evidence.reverse_distillation.restored import build_network, section, state_of
from trd.evidence.state import tensors_of
from trd.teachers.frozen import TeacherGraph
from trd.types import State


def imported_state(file: Path, job: FitJob) -> State:
    """Stands in for `fit_evidence`. Raises CheckpointError for a file that does not fit."""
    resolve_device(job.device)  # refused before minutes of reading
    students = read_reference_checkpoint(file, tuple(job.recipe.modalities))
    teacher = TeacherGraph(job.recipe.teacher)
    network = build_network(job.recipe, teacher.channels, teacher.linear_outputs, students)
    network_state = state_of(network, torch.nn.ModuleDict())
    return joined({TEACHER: tensors_of(teacher.teacher), f"{REVERSE_DISTILLATION}.": network_state})


def refuse_other_students(recipe: Recipe) -> None:
    """Raises RecipeError for a recipe whose students are not the paper's."""
    paper = tuple(recipe.evidence) == (REVERSE_DISTILLATION,) and recipe.teacher.name == "wide_resnet50_2"
    if paper:
        config = section(recipe)
        student = config.student
        complete = student.filter and student.amplifier and student.branches == "per_modality"
        plain = not config.standardize and config.distance == "cosine" and student.widths == "teacher"
        paper = complete and plain and student.blocks == PAPER_BLOCKS
    if len(recipe.modalities) != 2 or not paper:
        raise RecipeError(
            f"recipe '{recipe.name}' does not have the paper's two students: reference weights fit mvtec3d-rgb-depth, "
            "mvtec3d-rgb-normals and eyecandies-rgb-normals"
        )
