"""What an ablation compares: one recipe, and the same recipe with one thing taken away."""

from __future__ import annotations

from typing import Any

from trd.config import CROSSMODAL_MAPPING, REVERSE_DISTILLATION, Recipe
from trd.errors import RecipeError
from trd.evidence.reverse_distillation.restored import section

FULL = "full"
"""The variant of a recipe with nothing taken away."""
JOINT_TEACHER = "joint-teacher"
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
    joint-teacher: one student of all teachers' features. no-EVIDENCE, only-EVIDENCE: where the recipe lists several.
    Raises RecipeError for a recipe from which nothing can be taken, and for a joint teacher.
    """
    variants = _network_variants(recipe) if REVERSE_DISTILLATION in recipe.evidence else {}
    variants.setdefault(FULL, recipe)
    if len(recipe.evidence) > 1:
        for kind in recipe.evidence:
            others = {other: values for other, values in recipe.evidence.items() if other != kind}
            variants[f"no-{kind}"] = _changed(recipe, {"evidence": others})
            if len(others) > 1:
                variants[f"only-{kind}"] = _changed(recipe, {"evidence": {kind: recipe.evidence[kind]}})
    if len(variants) == 1:
        raise RecipeError(
            f"recipe '{recipe.name}' has one evidence ({', '.join(recipe.evidence)}) and no tuners: nothing can be "
            "taken away"
        )
    return variants


def _network_variants(recipe: Recipe) -> dict[str, Recipe]:
    if len(recipe.modalities) < 2:
        return {}
    config = section(recipe)
    if config.joint:
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
    return variants


def _changed_student(recipe: Recipe, **changes: Any) -> Recipe:
    evidence = recipe.model_dump()["evidence"]
    evidence[REVERSE_DISTILLATION]["student"] |= changes
    return _changed(recipe, {"evidence": evidence})


def _only(recipe: Recipe, name: str) -> Recipe:
    """One modality; the part is still found in the same cloud. Overrides of the others' numbers fall away, and so does
    the evidence that needs two modalities."""
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
    evidence = {kind: section for kind, section in recipe.evidence.items() if kind != CROSSMODAL_MAPPING}
    return _changed(recipe, {"modalities": modalities, "frame": frame, "classes": classes, "evidence": evidence})


def _changed(recipe: Recipe, changes: dict[str, Any]) -> Recipe:
    return Recipe.model_validate({**recipe.model_dump(), **changes})
