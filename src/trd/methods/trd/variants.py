"""What an ablation compares: one recipe, and the same recipe with one thing taken away."""

from __future__ import annotations

from typing import Any

from trd.config import Recipe
from trd.errors import RecipeError
from trd.methods.base import FULL
from trd.methods.trd.config import section

JOINT_TEACHER = "joint-teacher"


def ablation(recipe: Recipe) -> dict[str, Recipe]:
    """variant -> recipe, in the order of the table.

    only-MODALITY: one branch, nothing to tune with. no-tuners: all branches, trained side by side without help.
    filter, amplifier: one tuner each. full: as published. joint-teacher: one student of all teachers' features.
    Raises RecipeError for a recipe with a single modality, or one that is itself an ablation.
    """
    if len(recipe.modalities) < 2:
        raise RecipeError(f"recipe '{recipe.name}' has one modality: an ablation of the tuners needs at least two")
    if (
        not (section(recipe).student.filter and section(recipe).student.amplifier)
        or section(recipe).student.branches == "joint"
    ):
        raise RecipeError(f"recipe '{recipe.name}' switches tuners off itself: give the full one to ablate")
    variants = {f"only-{name}": _only(recipe, name) for name in recipe.modalities}
    for name, filtered, amplified in (
        ("no-tuners", False, False),
        ("filter", True, False),
        ("amplifier", False, True),
    ):
        variants[name] = _student(recipe, filter=filtered, amplifier=amplified)
    variants[FULL] = recipe
    variants[JOINT_TEACHER] = _student(recipe, branches="joint")
    return variants


def _student(recipe: Recipe, **changes: Any) -> Recipe:
    student = {**section(recipe).student.model_dump(), **changes}
    return _changed(recipe, {"method": {**recipe.method.model_dump(), "student": student}})


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
