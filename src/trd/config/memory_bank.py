"""The section `[evidence.memory_bank]`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from trd.config.evidence import EVIDENCE, EvidenceConfig

MEMORY_BANK = "memory_bank"


class MemoryBankConfig(EvidenceConfig):
    """Nearest neighbours in a bank of good parts' features, a bank per modality (docs/methods.md)."""

    falls_back: ClassVar[bool] = True
    grows: ClassVar[bool] = True

    strides: Annotated[
        tuple[Literal[4, 8, 16], ...],
        Field(
            min_length=1,
            max_length=3,
            description="Of the teacher's levels whose features are joined, fine to coarse; the first one's grid is "
            "the map's. 8 and 16 are layer2 and layer3 of the WideResNet.",
            json_schema_extra={"unit": "pixels per cell"},
        ),
    ] = (8, 16)
    patch: Annotated[
        Literal[1, 3, 5, 7],
        Field(
            description="Side of the square over which each level's features are averaged.",
            json_schema_extra={"unit": "cells"},
        ),
    ] = 3
    share: Annotated[
        float,
        Field(gt=0, le=1, description="Of the training cells that the bank keeps: those that cover the others best."),
    ] = 0.1
    entries: Annotated[
        int,
        Field(
            ge=1,
            le=1_000_000,
            description="Of a bank, at most. Where there are more than entries / share cells, so many of them are "
            "drawn at random first, equally from each part; memory and time are bounded by it.",
        ),
    ] = 10_000

    balance: Annotated[
        bool,
        Field(
            description="Scale the levels to the same total variance, so that one with large features does not decide "
            "alone (ours)."
        ),
    ] = False
    turned: Annotated[
        tuple[Annotated[float, Field(ge=-180, le=180)], ...],
        Field(
            max_length=36,
            description="Copies of the training parts, turned in the picture's plane, join the bank: a part that lies "
            "a little otherwise than all training parts is no anomaly (ours).",
            json_schema_extra={"unit": "degrees"},
        ),
    ] = ()

    @property
    def reads_vectors(self) -> bool:
        return bool(self.turned)

    def branches(self, modalities: Sequence[str]) -> tuple[str, ...]:
        return tuple(f"{name}_bank" for name in modalities)

    def check(self, modalities: Sequence[str]) -> None:
        if list(self.strides) != sorted(set(self.strides)):
            raise ValueError(
                f"evidence.{MEMORY_BANK}.strides is {list(self.strides)}: expected each once, fine to coarse, such as "
                "[8, 16]"
            )


EVIDENCE[MEMORY_BANK] = MemoryBankConfig
