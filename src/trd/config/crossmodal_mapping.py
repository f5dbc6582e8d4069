"""The section `[evidence.crossmodal_mapping]`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from trd.config.evidence import EVIDENCE, EvidenceConfig
from trd.config.sections import Frozen

CROSSMODAL_MAPPING = "crossmodal_mapping"
BRANCH = "mapping"


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


class CrossmodalMappingConfig(EvidenceConfig):
    """Predicts each modality's features from the others' (docs/methods.md)."""

    training: Annotated[MappingTrainingConfig, Field(description="How the mappings are trained.")] = (
        MappingTrainingConfig()
    )

    def branches(self, modalities: Sequence[str]) -> tuple[str, ...]:
        return (BRANCH,)

    def check(self, modalities: Sequence[str]) -> None:
        if len(modalities) < 2:
            raise ValueError(
                f"evidence.{CROSSMODAL_MAPPING} predicts one modality from the others and needs two or more; for one "
                "take memory_bank or reverse_distillation"
            )

    def without_effect(self) -> tuple[tuple[str, ...], ...]:
        return (("training", "feature_memory"),)


EVIDENCE[CROSSMODAL_MAPPING] = CrossmodalMappingConfig
