"""Tuned Reverse Distillation: inspect parts in colour and in 3D, trained on good parts only."""

from importlib import import_module, metadata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trd.config import Recipe, load_recipe, recipe_names
    from trd.detector import Detector
    from trd.errors import TRDError
    from trd.runs import evaluate, fit, import_reference
    from trd.types import Prediction, Sample

__version__ = metadata.version("trd-anomaly")

__all__ = [
    "Detector",
    "Prediction",
    "Recipe",
    "Sample",
    "TRDError",
    "evaluate",
    "fit",
    "import_reference",
    "load_recipe",
    "recipe_names",
]

_HOMES = {
    "trd.config": ("Recipe", "load_recipe", "recipe_names"),
    "trd.detector": ("Detector",),
    "trd.errors": ("TRDError",),
    "trd.runs": ("evaluate", "fit", "import_reference"),
    "trd.types": ("Prediction", "Sample"),
}


def __getattr__(name: str) -> object:
    """The public names, imported when first used: `trd --help` must not wait seconds for torch."""
    for module, names in _HOMES.items():
        if name in names:
            value = globals()[name] = getattr(import_module(module), name)
            return value
    raise AttributeError(f"module 'trd' has no attribute '{name}'")
