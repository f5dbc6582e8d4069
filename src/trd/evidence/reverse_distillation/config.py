"""The recipe's section of this method: every number of teacher, students, training and distance."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal, cast

from pydantic import BeforeValidator, Field

from trd.config import BackboneConfig, Frozen, MethodConfig, Recipe

JOINT = "joint"  # the one branch of a joint teacher
PoolSide = Literal[1, 3, 5, 7, 9]


class TeacherConfig(BackboneConfig):
    """The frozen network whose features the students learn to rebuild."""

    standardize: Annotated[
        bool,
        Field(
            description="Bring every channel to mean 0, deviation 1 over the training set before the student sees it."
        ),
    ] = False


def _renamed(branches: object) -> object:
    return "joint" if branches == "fused" else branches  # as recipes written before call it


BlockCount = Annotated[int, Field(ge=1, le=100)]


class StudentConfig(Frozen):
    """What is trained: a branch per modality, and what passes between them."""

    branches: Annotated[
        Literal["per_modality", "joint"],
        BeforeValidator(_renamed),
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
    precision: Annotated[
        Literal["fp32", "bf16", "auto"],
        Field(
            description="Of the students; the teacher is in float32. `auto`: bf16 where the hardware multiplies it "
            "(processors with AMX or AVX512-BF16, GPUs from Ampere on), else fp32."
        ),
    ] = "fp32"
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
        Field(description="Of the training curves. mlflow and wandb are extras: `pip install 'trd-anomaly[mlflow]'`."),
    ] = ("csv", "tensorboard")


class StatisticsConfig(Frozen):
    """Patch statistics of every modality as further branches, `MODALITY_statistics` (docs/methods.md, ours)."""

    components: Annotated[
        int,
        Field(
            ge=0, le=1000, description="Kinds of places told apart on good parts, per modality; 0: no such branches."
        ),
    ] = 0


class TRDConfig(MethodConfig):
    """Tuned reverse distillation."""

    name: Annotated[Literal["trd"], Field(description="This method.")] = "trd"
    teacher: Annotated[TeacherConfig, Field(description="The frozen network.")] = TeacherConfig()
    student: Annotated[StudentConfig, Field(description="What is trained.")] = StudentConfig()
    training: Annotated[TrainingConfig, Field(description="How it is trained.")] = TrainingConfig()
    distance: Annotated[
        Literal["cosine", "residual"],
        Field(
            description="Between teacher and student: `cosine` as published, or `residual` (ours, "
            'docs/lite-recipe.md), which needs `training.loss = "squared"`.'
        ),
    ] = "cosine"
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
    statistics: Annotated[
        StatisticsConfig, Field(description="Patch statistics as further branches beside the network's.")
    ] = StatisticsConfig()


def section(recipe: Recipe) -> TRDConfig:
    """The recipe's section of this method."""
    return cast(TRDConfig, recipe.method)


CONTEXT_FLOORS = {"part": -3.0, "frame": 1.0}  # of "auto"


def context_floor(recipe: Recipe, region: str) -> float:
    """region: "part" or "frame", what of the images is scored."""
    floor = section(recipe).context_floor
    return CONTEXT_FLOORS[region] if floor == "auto" else floor


def branches(recipe: Recipe) -> tuple[str, ...]:
    """The network's, then those of patch statistics."""
    statistics = recipe.modalities if section(recipe).statistics.components else ()
    return (*network_branches(recipe), *(statistics_branch(name) for name in statistics))


def statistics_branch(modality: str) -> str:
    """The map of a modality's patch statistics."""
    return f"{modality}_statistics"


def network_branches(recipe: Recipe) -> tuple[str, ...]:
    """The modalities, or one joint branch."""
    return (JOINT,) if section(recipe).student.branches == "joint" else tuple(recipe.modalities)


def without_effect(recipe: Recipe) -> tuple[tuple[str, ...], ...]:
    """Keys of the recipe that change time or memory only, not what is learned."""
    keys = [("method", "training", key) for key in ("feature_memory", "compile", "checkpoint_every", "loggers")]
    if section(recipe).training.augment == "none":  # nothing is turned
        keys += [("modalities", name, "vectors") for name in recipe.modalities]
    return tuple(keys)


def branch_channels(recipe: Recipe, teacher_channels: Sequence[int]) -> tuple[int, ...]:
    """Widths of one branch's pyramid: the teacher's, or those of all modalities' teachers side by side."""
    teachers = len(recipe.modalities) // len(network_branches(recipe))
    return tuple(teachers * width for width in teacher_channels)


def check(recipe: Recipe) -> None:
    """Raises ValueError for values that contradict each other."""
    config = section(recipe)
    if JOINT in recipe.modalities:
        raise ValueError(f"a modality cannot be called '{JOINT}': results use that name")
    if len(set(branches(recipe))) < len(branches(recipe)):
        raise ValueError("a modality cannot be called like another one with '_statistics' behind it: results use that")
    if config.distance == "residual" and config.training.loss != "squared":
        raise ValueError("method.distance = 'residual' needs training.loss = 'squared': cosine leaves the scale open")
    if len(network_branches(recipe)) == 1 and not (config.student.filter and config.student.amplifier):
        raise ValueError("student.filter / amplifier are switched off, but one branch has no tuners to switch")
    if config.training.batch_size % config.training.accumulate:
        raise ValueError("training.batch_size must be a multiple of training.accumulate")
