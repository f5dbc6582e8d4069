"""The recipe's section of this method."""

from __future__ import annotations

from typing import Annotated, Literal, cast

from pydantic import Field

from trd.config import BackboneConfig, Frozen, MethodConfig, Recipe

JOINT = "joint"  # the one branch


class MappingTrainingConfig(Frozen):
    """Adam at one rate."""

    epochs: Annotated[int, Field(ge=1, le=1_000_000, description="Passes over the training parts.")] = 50
    batch_size: Annotated[
        int, Field(ge=1, le=65_536, description="Parts in a step.", json_schema_extra={"unit": "parts"})
    ] = 4
    learning_rate: Annotated[float, Field(gt=0, description="Adam's.")] = 0.001
    cells: Annotated[
        int,
        Field(
            ge=1,
            le=10_000_000,
            description="Scored cells drawn at random from each part in every step. All of them, as published, take "
            "several times as long; neighbouring ones are interpolated from the same coarse features.",
            json_schema_extra={"unit": "cells"},
        ),
    ] = 1024
    precision: Annotated[
        Literal["fp32", "bf16", "auto"],
        Field(
            description="Of the mappings, in training and prediction; the teacher is in float32. `auto`: bf16 where "
            "the hardware multiplies it, else fp32."
        ),
    ] = "fp32"
    feature_memory: Annotated[
        float,
        Field(
            ge=0,
            le=100_000,
            description="For the teacher's features, kept from epoch to epoch; those of parts for which there is no "
            "room are computed anew.",
            json_schema_extra={"unit": "GiB"},
        ),
    ] = 4.0


class CrossmodalMappingConfig(MethodConfig):
    """Predicts each modality's features from the others' (docs/methods.md)."""

    name: Annotated[Literal["crossmodal_mapping"], Field(description="This method.")] = "crossmodal_mapping"
    teacher: Annotated[BackboneConfig, Field(description="The frozen network.")] = BackboneConfig()
    training: Annotated[MappingTrainingConfig, Field(description="How the mappings are trained.")] = (
        MappingTrainingConfig()
    )


def section(recipe: Recipe) -> CrossmodalMappingConfig:
    """The recipe's section of this method."""
    return cast(CrossmodalMappingConfig, recipe.method)


def without_effect(recipe: Recipe) -> tuple[tuple[str, ...], ...]:
    """Keys of the recipe that change time or memory only, not what is learned."""
    return (("method", "training", "feature_memory"),)


def check(recipe: Recipe) -> None:
    """Raises ValueError for modalities that this method cannot work with."""
    if len(recipe.modalities) < 2:
        raise ValueError(
            "method 'crossmodal_mapping' predicts one modality from the others and needs two or more; for one take "
            "method 'memory_bank' or 'trd'"
        )
    if JOINT in recipe.modalities:
        raise ValueError(f"a modality cannot be called '{JOINT}': results use that name")
