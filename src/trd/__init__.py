"""Tuned Reverse Distillation: inspect parts in colour and in 3D, trained on good parts only."""

from importlib import metadata

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
