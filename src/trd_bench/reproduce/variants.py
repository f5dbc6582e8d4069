"""What an ablation compares: one recipe, and the same recipe with one thing taken away."""

from __future__ import annotations

from typing import Any

from trd.config import Recipe
from trd.errors import RecipeError
from trd.evidence.base import FULL
from trd.evidence.reverse_distillation.config import section

JOINT_TEACHER = "joint-teacher"
NO_STATISTICS = "no-statistics"
BOTH = {"filter": True, "amplifier": True}
TUNERS = {
    "no-tuners": {"filter": False, "amplifier": False},
    "filter": {"filter": True, "amplifier": False},
    "amplifier": {"filter": False, "amplifier": True},
    "both-tuners": BOTH,
}


def ablation(recipe: Recipe) -> dict[str, Recipe]:
    """variant -> recipe, in the order of the table.

    only-MODALITY: one branch, nothing to tune with. no-tuners: all branches, trained side by side without help.
    filter, amplifier, both-tuners: with these tuners. full: the recipe itself, which is not listed by its tuners again.
    joint-teacher: one student of all teachers' features. no-statistics: the network alone, where the recipe has patch
    statistics. Raises RecipeError for a recipe with a single modality or a joint teacher.
    """
    if len(recipe.modalities) < 2:
        raise RecipeError(f"recipe '{recipe.name}' has one modality: an ablation of the tuners needs at least two")
    config = section(recipe)
    if config.student.branches == "joint":
        raise RecipeError(
            f"recipe '{recipe.name}' has a joint teacher, which has no tuners to ablate: give the one with "
            "student.branches = 'per_modality'"
        )
    complete = _changed_student(recipe, **BOTH)  # a single branch has no tuners to switch off
    variants = {f"only-{name}": _only(complete, name) for name in recipe.modalities}
    for name, switches in TUNERS.items():
        if switches != {"filter": config.student.filter, "amplifier": config.student.amplifier}:
            variants[name] = _changed_student(recipe, **switches)
    variants[FULL] = recipe
    variants[JOINT_TEACHER] = _changed_student(complete, branches="joint")
    if config.statistics.components:
        variants[NO_STATISTICS] = _changed_method(recipe, statistics={"components": 0})
    return variants


def _changed_student(recipe: Recipe, **changes: Any) -> Recipe:
    return _changed_method(recipe, student={**section(recipe).student.model_dump(), **changes})


def _changed_method(recipe: Recipe, **changes: Any) -> Recipe:
    return _changed(recipe, {"method": {**recipe.method.model_dump(), **changes}})


def _only(recipe: Recipe, name: str) -> Recipe:
    """One modality; the part is still found in the same cloud, and overrides of the others' numbers fall away."""
    clouds = recipe.point_cloud_sources
    classes = {
        cls: {**tree, "modalities": {k: v for k, v in tree.get("modalities", {}).items() if k == name}}
        for cls, tree in recipe.classes.items()
    }
    frame = {
        **recipe.frame.model_dump(),
        "part": {**recipe.frame.part.model_dump(), "source": clouds[0] if clouds else ""},
    }
    modalities = {name: recipe.modalities[name].model_dump()}
    return _changed(recipe, {"modalities": modalities, "frame": frame, "classes": classes})


def _changed(recipe: Recipe, changes: dict[str, Any]) -> Recipe:
    return Recipe.model_validate({**recipe.model_dump(), **changes})
