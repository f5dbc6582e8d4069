"""The section `[evidence.reverse_distillation]`: every number of students, training and distance."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field

from trd.config.evidence import EVIDENCE, EvidenceConfig
from trd.config.sections import Frozen

REVERSE_DISTILLATION = "reverse_distillation"
JOINT = "joint"  # the one branch of a joint teacher
CONTEXT_FLOORS = {"part": -3.0, "frame": 1.0}  # of "auto"
PoolSide = Literal[1, 3, 5, 7, 9]
Width = Annotated[int, Field(ge=2, le=4096, multiple_of=2)]
BlockCount = Annotated[int, Field(ge=1, le=100)]
LevelWeight = Annotated[float, Field(ge=0, le=1000)]


class StudentConfig(Frozen):
    """What is trained: a branch per modality, and what passes between them."""

    branches: Annotated[
        Literal["per_modality", "joint"],
        Field(
            description="`per_modality` as published, or `joint`: one student of all teachers' concatenated features, "
            "without tuners (the baseline that the paper argues against)."
        ),
    ] = "per_modality"
    filter: Annotated[bool, Field(description="The crossmodal filter; off for ablations.")] = True
    amplifier: Annotated[bool, Field(description="The crossmodal amplifier; off for ablations.")] = True
    blocks: Annotated[
        tuple[BlockCount, BlockCount, BlockCount], Field(description="Blocks per decoder stage, coarse to fine.")
    ] = (3, 4, 6)
    widths: Annotated[
        tuple[Width, Width, Width] | Literal["teacher"],
        Field(
            description="Channels of the decoder's stages, fine to coarse. `teacher`: those of the levels that they "
            "rebuild, as published; a small teacher's are too narrow to decode in.",
            json_schema_extra={"unit": "channels"},
        ),
    ] = "teacher"


Beta = Annotated[float, Field(ge=0, lt=1)]


class TrainingConfig(Frozen):
    """Adam, its schedule, and how the training runs."""

    epochs: Annotated[int, Field(ge=1, le=1_000_000, description="Passes over the training parts.")] = 200
    batch_size: Annotated[
        int, Field(ge=1, le=65_536, description="Parts in a step.", json_schema_extra={"unit": "parts"})
    ] = 16
    learning_rate: Annotated[float, Field(gt=0, description="Adam's, at the beginning.")] = 0.005
    betas: Annotated[tuple[Beta, Beta], Field(description="Adam's.")] = (0.5, 0.999)
    schedule: Annotated[
        Literal["exponential", "cosine"], Field(description="How the learning rate falls; exponential as published.")
    ] = "exponential"
    lr_decay: Annotated[
        float, Field(gt=0, le=1, description="Multiplies the rate after each epoch. Exponential schedule only.")
    ] = 0.95
    augment: Annotated[
        Literal["none", "turns", "flips"],
        Field(
            description="`flips`: mirrorings and quarter turns, of all modalities together, vectors turned too. "
            "Mirrored and turned parts then count as good; `turns` leaves the mirrorings out, for parts with "
            "lettering, a thread, or a left and a right."
        ),
    ] = "none"
    loss: Annotated[
        Literal["cosine", "squared"],
        Field(
            description="`cosine` as published; `squared` is the relative squared error, which fixes the features' "
            "scale too."
        ),
    ] = "cosine"
    deterministic: Annotated[bool, Field(description="Algorithms that repeat bit for bit.")] = True
    compile: Annotated[
        bool,
        Field(
            description="torch.compile the students, for long trainings on GPUs: a minute or two before the first step."
        ),
    ] = False
    accumulate: Annotated[
        int,
        Field(
            ge=1,
            le=65_536,
            description="Equal parts of a batch that go through the network one after the other and share a step, for "
            "GPUs with little memory. BatchNorm then sees the parts, and a last batch with fewer of them weighs less.",
            json_schema_extra={"unit": "parts of a batch"},
        ),
    ] = 1
    feature_memory: Annotated[
        float,
        Field(
            ge=0,
            le=100_000,
            description="For the teacher's features of the training parts (with flips in all eight views), kept from "
            "epoch to epoch, of as many parts as fit; the others' are computed anew.",
            json_schema_extra={"unit": "GiB"},
        ),
    ] = 4.0
    checkpoint_every: Annotated[
        int,
        Field(
            ge=1,
            le=1_000_000,
            description="Between the checkpoints from which a stopped training goes on.",
            json_schema_extra={"unit": "epochs"},
        ),
    ] = 10
    loggers: Annotated[
        tuple[Literal["csv", "tensorboard", "mlflow", "wandb"], ...],
        Field(description="Of the training curves. mlflow and wandb are extras: `pip install '.[mlflow]'`."),
    ] = ("csv", "tensorboard")


class ReverseDistillationConfig(EvidenceConfig):
    """Tuned reverse distillation: a student per modality rebuilds the teacher's pyramid (docs/methods.md)."""

    standardize: Annotated[
        bool,
        Field(
            description="Bring every channel to mean 0, deviation 1 over the training set before the student sees it."
        ),
    ] = False
    student: Annotated[StudentConfig, Field(description="What is trained.")] = StudentConfig()
    training: Annotated[TrainingConfig, Field(description="How it is trained.")] = TrainingConfig()
    distance: Annotated[
        Literal["cosine", "residual"],
        Field(
            description="Between teacher and student: `cosine` as published, or `residual` (ours, "
            'docs/methods.md), which needs `training.loss = "squared"`.'
        ),
    ] = "cosine"
    level_weights: Annotated[
        tuple[LevelWeight, LevelWeight, LevelWeight],
        Field(
            description="Of the levels' distances in the sum that is a branch's map, fine to coarse; equal: published."
        ),
    ] = (1.0, 1.0, 1.0)
    pool: Annotated[
        tuple[PoolSide, PoolSide, PoolSide],
        Field(
            description="Side of the square over which residuals are averaged, per level, fine to coarse. `residual` "
            "only.",
            json_schema_extra={"unit": "cells"},
        ),
    ] = (3, 3, 1)
    context_floor: Annotated[
        Annotated[float, Field(ge=-3, le=2)] | Literal["auto"],
        Field(
            description="The least distance expected of a place: -3 on the part, where every place counts; about 1 "
            "where the map covers background, whose quiet areas would otherwise be amplified; `auto` is one or the "
            "other, by the region that is scored. `residual` only.",
            json_schema_extra={"unit": "deviations of the log"},
        ),
    ] = -3.0

    @property
    def joint(self) -> bool:
        """Whether one student rebuilds all modalities' teachers side by side."""
        return self.student.branches == "joint"

    @property
    def reads_vectors(self) -> bool:
        return self.training.augment != "none"

    def branches(self, modalities: Sequence[str]) -> tuple[str, ...]:
        """The modalities, or one joint branch."""
        return (JOINT,) if self.joint else tuple(modalities)

    def branch_channels(self, modalities: Sequence[str], teacher_channels: Sequence[int]) -> tuple[int, ...]:
        """Widths of one branch's pyramid: the teacher's, or those of all modalities' teachers side by side."""
        teachers = len(modalities) if self.joint else 1
        return tuple(teachers * width for width in teacher_channels)

    def context_floor_of(self, region: str) -> float:
        """region: "part" or "frame", what of the images is scored."""
        return CONTEXT_FLOORS[region] if self.context_floor == "auto" else self.context_floor

    def check(self, modalities: Sequence[str]) -> None:
        if self.distance == "residual" and self.training.loss != "squared":
            raise ValueError("distance = 'residual' needs training.loss = 'squared': cosine leaves the scale open")
        single_branch = len(self.branches(modalities)) == 1
        if single_branch and not (self.student.filter and self.student.amplifier):
            raise ValueError("student.filter / amplifier are switched off, but one branch has no tuners to switch")
        if not any(self.level_weights):
            raise ValueError("level_weights are all 0, which leaves no map: give one level a weight above 0")
        if self.training.batch_size % self.training.accumulate:
            raise ValueError("training.batch_size must be a multiple of training.accumulate")

    def without_effect(self) -> tuple[tuple[str, ...], ...]:
        return tuple(("training", key) for key in ("feature_memory", "compile", "checkpoint_every", "loggers"))


EVIDENCE[REVERSE_DISTILLATION] = ReverseDistillationConfig
