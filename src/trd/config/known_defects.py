"""The section `[evidence.known_defects]`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar

from pydantic import Field

from trd.config.evidence import EVIDENCE, EvidenceConfig

KNOWN_DEFECTS = "known_defects"


class KnownDefectsConfig(EvidenceConfig):
    """How far a place lies from good parts in the direction of labelled defects; only `trd learn` can fit it."""

    reads_teacher: ClassVar[bool] = False
    needs_defects: ClassVar[bool] = True

    shrinkage: Annotated[
        float,
        Field(
            gt=0,
            le=1000,
            description="Added to the channels' variances of good parts, which are 1: more trusts the few labelled "
            "defects less (docs/learning.md).",
        ),
    ] = 0.02

    @property
    def reads_vectors(self) -> bool:
        return True

    def branches(self, modalities: Sequence[str]) -> tuple[str, ...]:
        return (KNOWN_DEFECTS,)


EVIDENCE[KNOWN_DEFECTS] = KnownDefectsConfig
