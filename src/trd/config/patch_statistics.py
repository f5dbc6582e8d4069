"""The section `[evidence.patch_statistics]`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar

from pydantic import Field

from trd.config.evidence import EVIDENCE, EvidenceConfig

PATCH_STATISTICS = "patch_statistics"


class PatchStatisticsConfig(EvidenceConfig):
    """Statistics of colour and of the surface's curvature, compared with good parts' at such a place."""

    reads_teacher: ClassVar[bool] = False
    falls_back: ClassVar[bool] = True
    grows: ClassVar[bool] = True

    components: Annotated[
        int,
        Field(ge=1, le=1000, description="Kinds of places told apart on good parts, per modality (docs/methods.md)."),
    ] = 32

    @property
    def reads_vectors(self) -> bool:
        return True

    def branches(self, modalities: Sequence[str]) -> tuple[str, ...]:
        return tuple(f"{name}_statistics" for name in modalities)


EVIDENCE[PATCH_STATISTICS] = PatchStatisticsConfig
