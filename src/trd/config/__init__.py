"""Recipes: `sections` says what each key means, `recipe` checks and changes them, `trees` reads and merges them."""

from trd.config.crossmodal_mapping import CROSSMODAL_MAPPING, CrossmodalMappingConfig
from trd.config.evidence import EVIDENCE, EvidenceConfig, evidence_section
from trd.config.frame import FrameConfig, PartConfig, RegionConfig
from trd.config.known_defects import KNOWN_DEFECTS, KnownDefectsConfig
from trd.config.memory_bank import MEMORY_BANK, MemoryBankConfig
from trd.config.patch_statistics import PATCH_STATISTICS, PatchStatisticsConfig
from trd.config.recipe import (
    DEFAULT_RECIPE,
    Recipe,
    load_recipe,
    recipe_from_toml,
    recipe_names,
)
from trd.config.reverse_distillation import REVERSE_DISTILLATION, ReverseDistillationConfig
from trd.config.sections import (
    BackboneConfig,
    DepthImageInput,
    Frozen,
    ImageInput,
    ModalityInput,
    Probability,
    ScoringConfig,
    SobelNormalsInput,
    SurfaceNormalsInput,
    VectorAxes,
)
from trd.config.trees import parse_override
from trd.config.views import ViewsConfig

__all__ = [
    "CROSSMODAL_MAPPING",
    "DEFAULT_RECIPE",
    "EVIDENCE",
    "KNOWN_DEFECTS",
    "MEMORY_BANK",
    "PATCH_STATISTICS",
    "REVERSE_DISTILLATION",
    "BackboneConfig",
    "CrossmodalMappingConfig",
    "DepthImageInput",
    "EvidenceConfig",
    "FrameConfig",
    "Frozen",
    "ImageInput",
    "KnownDefectsConfig",
    "MemoryBankConfig",
    "ModalityInput",
    "PartConfig",
    "PatchStatisticsConfig",
    "Probability",
    "Recipe",
    "RegionConfig",
    "ReverseDistillationConfig",
    "ScoringConfig",
    "SobelNormalsInput",
    "SurfaceNormalsInput",
    "VectorAxes",
    "ViewsConfig",
    "evidence_section",
    "load_recipe",
    "parse_override",
    "recipe_from_toml",
    "recipe_names",
]
