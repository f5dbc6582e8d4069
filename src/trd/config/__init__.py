"""Recipes: `sections` says what each key means, `recipe` reads, checks and changes them."""

from trd.config.recipe import (
    DEFAULT_RECIPE,
    METHOD_SECTIONS,
    MOVED,
    Recipe,
    load_recipe,
    parse_override,
    recipe_from_toml,
    recipe_names,
)
from trd.config.sections import (
    DepthImageInput,
    FrameConfig,
    Frozen,
    ImageInput,
    MethodConfig,
    ModalityInput,
    PartConfig,
    Probability,
    ScoringConfig,
    SobelNormalsInput,
    SurfaceNormalsInput,
    VectorAxes,
)

__all__ = [
    "DEFAULT_RECIPE",
    "METHOD_SECTIONS",
    "MOVED",
    "DepthImageInput",
    "FrameConfig",
    "Frozen",
    "ImageInput",
    "MethodConfig",
    "ModalityInput",
    "PartConfig",
    "Probability",
    "Recipe",
    "ScoringConfig",
    "SobelNormalsInput",
    "SurfaceNormalsInput",
    "VectorAxes",
    "load_recipe",
    "parse_override",
    "recipe_from_toml",
    "recipe_names",
]
