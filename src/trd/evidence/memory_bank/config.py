"""The recipe's section of this method."""

from __future__ import annotations

from typing import Annotated, Literal, cast

from pydantic import Field

from trd.config import BackboneConfig, MethodConfig, Recipe


class MemoryBankConfig(MethodConfig):
    """Nearest neighbours in a bank of good parts' features, a bank per modality (docs/methods.md)."""

    name: Annotated[Literal["memory_bank"], Field(description="This method.")] = "memory_bank"
    teacher: Annotated[BackboneConfig, Field(description="The frozen network.")] = BackboneConfig()
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
    precision: Annotated[
        Literal["fp32", "bf16", "auto"],
        Field(
            description="Of the search for the nearest entry; the teacher and the distance are in float32. `auto`: "
            "bf16 where the hardware multiplies it, else fp32."
        ),
    ] = "fp32"


def section(recipe: Recipe) -> MemoryBankConfig:
    """The recipe's section of this method."""
    return cast(MemoryBankConfig, recipe.method)


def check(recipe: Recipe) -> None:
    """Raises ValueError for levels that are not in order."""
    strides = section(recipe).strides
    if list(strides) != sorted(set(strides)):
        raise ValueError(f"method.strides is {list(strides)}: expected each once, fine to coarse, such as [8, 16]")
