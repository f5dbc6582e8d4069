"""Evidence by kind. One line here, and a section in `trd.config`, make a folder of `trd.evidence` known everywhere."""

from __future__ import annotations

from importlib import import_module

from trd.config import (
    CROSSMODAL_MAPPING,
    KNOWN_DEFECTS,
    MEMORY_BANK,
    PATCH_STATISTICS,
    REVERSE_DISTILLATION,
    evidence_section,
)
from trd.evidence.base import Evidence

MODULES = {
    CROSSMODAL_MAPPING: "trd.evidence.crossmodal_mapping.evidence",
    KNOWN_DEFECTS: "trd.evidence.known_defects.evidence",
    MEMORY_BANK: "trd.evidence.memory_bank.evidence",
    PATCH_STATISTICS: "trd.evidence.patch_statistics.evidence",
    REVERSE_DISTILLATION: "trd.evidence.reverse_distillation.evidence",
}


def find_evidence(kind: str) -> Evidence:
    """The `EVIDENCE` of a kind's module, imported when first asked for. Raises RecipeError for an unknown kind."""
    evidence_section(kind)
    evidence: Evidence = import_module(MODULES[kind]).EVIDENCE
    return evidence
