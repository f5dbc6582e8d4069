"""Weights of the reference implementation -> the state of a fitted network, without training."""

from __future__ import annotations

from pathlib import Path

from trd.config import Recipe
from trd.errors import RecipeError
from trd.evidence.base import FitJob
from trd.evidence.reverse_distillation.config import TRDConfig
from trd.evidence.reverse_distillation.engine import state_of
from trd.evidence.reverse_distillation.maps.scorer import MapScorer
from trd.evidence.reverse_distillation.network.network import build_network
from trd.evidence.reverse_distillation.network.reference_weights import read_reference_checkpoint
from trd.evidence.reverse_distillation.network.student import PAPER_BLOCKS
from trd.types import State


def imported_state(file: Path, job: FitJob) -> State:
    """Stands in for `Method.fit`. Raises CheckpointError for a file that does not fit."""
    students = read_reference_checkpoint(file, tuple(job.recipe.modalities))
    return state_of(build_network(job.recipe, students=students), MapScorer([], [], None))


def refuse_other_students(recipe: Recipe) -> None:
    """Raises RecipeError for a recipe whose students are not the paper's."""
    config = recipe.method
    paper = False
    if isinstance(config, TRDConfig):
        complete = config.student.filter and config.student.amplifier and config.student.branches == "per_modality"
        teacher = config.teacher.name == "wide_resnet50_2" and not config.teacher.standardize
        paper = complete and teacher and config.student.blocks == PAPER_BLOCKS and config.distance == "cosine"
        paper = paper and not config.statistics.components
    if len(recipe.modalities) != 2 or not paper:
        raise RecipeError(
            f"recipe '{recipe.name}' does not have the paper's two students: reference weights fit mvtec3d-rgb-depth, "
            "mvtec3d-rgb-normals and eyecandies-rgb-normals"
        )
