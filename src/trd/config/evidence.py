"""Evidence by kind: a section of its own for each, and what the rest of a recipe asks of it.

What an evidence computes is in `trd.evidence`; this is what can be known of it without torch. One line here and one in
`trd.evidence.registry` make a kind known to recipes, training and every command.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar

from trd.config.sections import Frozen
from trd.errors import RecipeError


class EvidenceConfig(Frozen):
    """The section of an evidence; kinds override what differs."""

    reads_teacher: ClassVar[bool] = True
    """Whether its graphs take the teacher's pyramids."""
    falls_back: ClassVar[bool] = False
    """Whether it fits in seconds and modality by modality, so that it can decide where a sensor is missing."""
    grows: ClassVar[bool] = False
    """Whether it takes in further good parts without a training (`trd.evidence.base.Growing`)."""
    needs_defects: ClassVar[bool] = False
    """Whether labelled defects fit it (`trd learn`), and good parts alone do not."""

    @property
    def reads_vectors(self) -> bool:
        """Whether it depends on which modalities are vectors (`Recipe.vector_maps`)."""
        return False

    @abstractmethod
    def branches(self, modalities: Sequence[str]) -> tuple[str, ...]:
        """Names of its maps; unique within a recipe."""

    def check(self, modalities: Sequence[str]) -> None:
        """Raises ValueError where the section contradicts itself or does not suit the modalities."""

    def without_effect(self) -> tuple[tuple[str, ...], ...]:
        """Paths of its keys that change time or memory only, not what is learned."""
        return ()


EVIDENCE: dict[str, type[EvidenceConfig]] = {}
"""Kind -> section."""


def evidence_section(kind: str) -> type[EvidenceConfig]:
    """Raises RecipeError for an unknown kind."""
    if kind not in EVIDENCE:
        raise RecipeError(f"no evidence is called '{kind[:60]}'; there are: {', '.join(sorted(EVIDENCE))}")
    return EVIDENCE[kind]
