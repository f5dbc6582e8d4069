"""What an ablation compares: one recipe, and the same recipe with one thing taken away."""

from __future__ import annotations

from typing import Any

from trd.config import Recipe
from trd.errors import RecipeError

FULL, FUSED_TEACHER = "full", "fused-teacher"


def ablation(recipe: Recipe) -> dict[str, Recipe]:
    """variant -> recipe, in the order of the table.

    only-MODALITY: one branch, nothing to tune with. no-tuners: all branches, trained side by side without help.
    filter, amplifier: one tuner each. full: as published. fused-teacher: one student of all teachers' features.
    Raises RecipeError for a recipe with a single modality, or one that is itself an ablation.
    """
    if len(recipe.modalities) < 2:
        raise RecipeError(f"recipe '{recipe.name}' has one modality: an ablation of the tuners needs at least two")
    if not (recipe.student.filter and recipe.student.amplifier) or recipe.student.branches == "fused":
        raise RecipeError(f"recipe '{recipe.name}' switches tuners off itself: give the full one to ablate")
    variants = {f"only-{name}": _only(recipe, name) for name in recipe.modalities}
    for name, filtered, amplified in (
        ("no-tuners", False, False),
        ("filter", True, False),
        ("amplifier", False, True),
    ):
        variants[name] = _student(recipe, filter=filtered, amplifier=amplified)
    variants[FULL] = recipe
    variants[FUSED_TEACHER] = _student(recipe, branches="fused")
    return variants


def _student(recipe: Recipe, **changes: Any) -> Recipe:
    return _changed(recipe, {"student": {**recipe.student.model_dump(), **changes}})


def _only(recipe: Recipe, name: str) -> Recipe:
    """One modality; the part is still found in the same cloud, and overrides of the others' numbers fall away."""
    clouds = recipe.point_cloud_sources
    classes = {
        cls: {**tree, "modalities": {k: v for k, v in tree.get("modalities", {}).items() if k == name}}
        for cls, tree in recipe.classes.items()
    }
    frame = {**recipe.frame.model_dump(), "part_source": clouds[0] if clouds else ""}
    modalities = {name: recipe.modalities[name].model_dump()}
    return _changed(recipe, {"modalities": modalities, "frame": frame, "classes": classes})


def _changed(recipe: Recipe, changes: dict[str, Any]) -> Recipe:
    return Recipe.model_validate({**recipe.model_dump(), **changes})


def with_seed(recipe: Recipe, seed: int) -> Recipe:
    """The recipe with another seed of training (weights, order of samples, augmentation, held-out parts)."""
    return _changed(recipe, {"training": {**recipe.training.model_dump(), "seed": seed}})
