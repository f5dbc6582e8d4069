"""The recipe's section of this method: every number of teacher, students, training and distance."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal, cast

from pydantic import BeforeValidator, Field

from trd.config import Frozen, MethodConfig, Recipe

JOINT = "joint"  # the one branch of a joint teacher
Blocks = Annotated[int, Field(ge=1, le=100)]
PoolSide = Literal[1, 3, 5, 7, 9]


class TeacherConfig(Frozen):
    """weights: "auto" (the published file: package, cache or download), "random" (tests), or a path.

    standardize: every channel to mean 0, deviation 1 over the training set before the student sees it.
    """

    name: Literal["wide_resnet50_2", "efficientnet_lite0"] = "efficientnet_lite0"
    weights: str = "auto"
    standardize: bool = False


def _renamed(branches: object) -> object:
    return "joint" if branches == "fused" else branches  # as recipes written before call it


class StudentConfig(Frozen):
    """branches: "per_modality" as published, or "joint": ONE student of all teachers' concatenated features, without
    tuners (the baseline that the paper argues against). filter and amplifier switch the crossmodal tuners (ablations).
    blocks per decoder stage, coarse to fine.
    """

    branches: Annotated[Literal["per_modality", "joint"], BeforeValidator(_renamed)] = "per_modality"
    filter: bool = True
    amplifier: bool = True
    blocks: tuple[Blocks, Blocks, Blocks] = (3, 4, 6)


class TrainingConfig(Frozen):
    """Adam and its schedule. lr_decay multiplies the rate after each epoch (schedule "exponential").

    augment: "none" or "flips" (mirrorings and quarter turns, applied to all modalities together, vectors turned too).
    loss: "cosine" as published, "squared" is the relative squared error, which fixes the features' scale too.
    precision: "32", "bf16", or "auto" (bf16 where the processor multiplies it in hardware).
    compile: torch.compile the students, for long trainings on GPUs (a minute or two before the first step).
    accumulate: equal parts of a batch that go through the network one after the other and share a step, for GPUs with
    little memory; BatchNorm then sees the parts, and a last batch with fewer of them weighs less. feature_memory: GiB
    for the teacher's features of the training parts (in all eight views with "flips"), kept from epoch to epoch; of
    as many parts as fit, the others' are computed anew.
    checkpoint_every: epochs between resumable checkpoints. deterministic: bit-for-bit repeatable algorithms.
    loggers: of the training curves; mlflow and wandb are extras.
    """

    epochs: Annotated[int, Field(ge=1, le=1_000_000)] = 200
    batch_size: Annotated[int, Field(ge=1, le=65_536)] = 16
    learning_rate: Annotated[float, Field(gt=0)] = 0.005
    betas: tuple[Annotated[float, Field(ge=0, lt=1)], Annotated[float, Field(ge=0, lt=1)]] = (0.5, 0.999)
    schedule: Literal["exponential", "cosine"] = "exponential"
    lr_decay: Annotated[float, Field(gt=0, le=1)] = 0.95
    augment: Literal["none", "flips"] = "none"
    loss: Literal["cosine", "squared"] = "cosine"
    precision: Annotated[Literal["32", "bf16", "auto"], BeforeValidator(str)] = "32"
    deterministic: bool = True
    compile: bool = False
    accumulate: Annotated[int, Field(ge=1, le=65_536)] = 1
    feature_memory: Annotated[float, Field(ge=0, le=100_000)] = 4.0
    checkpoint_every: Annotated[int, Field(ge=1, le=1_000_000)] = 10
    loggers: tuple[Literal["csv", "tensorboard", "mlflow", "wandb"], ...] = ("csv", "tensorboard")


class TRDConfig(MethodConfig):
    """Tuned reverse distillation.

    distance: "cosine" as published, "residual" is ours (`maps.residuals`), with `pool` cells per level, fine to
    coarse, and `context_floor`, the least distance expected of a place, in deviations of the log: -3 on the part, where
    every place counts; about 1 where the map covers background, whose quiet areas would otherwise be amplified; "auto"
    is one or the other, by the region that is scored.
    """

    name: Literal["trd"] = "trd"
    teacher: TeacherConfig = TeacherConfig()
    student: StudentConfig = StudentConfig()
    training: TrainingConfig = TrainingConfig()
    distance: Literal["cosine", "residual"] = "cosine"
    pool: tuple[PoolSide, PoolSide, PoolSide] = (3, 3, 1)
    context_floor: Annotated[float, Field(ge=-3, le=2)] | Literal["auto"] = -3.0


def section(recipe: Recipe) -> TRDConfig:
    """The recipe's section of this method."""
    return cast(TRDConfig, recipe.method)


def branches(recipe: Recipe) -> tuple[str, ...]:
    """The modalities, or one joint branch."""
    return (JOINT,) if section(recipe).student.branches == "joint" else tuple(recipe.modalities)


def branch_channels(recipe: Recipe, teacher_channels: Sequence[int]) -> tuple[int, ...]:
    """Widths of one branch's pyramid: the teacher's, or those of all modalities' teachers side by side."""
    teachers = len(recipe.modalities) // len(branches(recipe))
    return tuple(teachers * width for width in teacher_channels)


def check(recipe: Recipe) -> None:
    """Raises ValueError for values that contradict each other."""
    config = section(recipe)
    if JOINT in recipe.modalities:
        raise ValueError(f"a modality cannot be called '{JOINT}': results use that name")
    if config.distance == "residual" and config.training.loss != "squared":
        raise ValueError("method.distance = 'residual' needs training.loss = 'squared': cosine leaves the scale open")
    if len(branches(recipe)) == 1 and not (config.student.filter and config.student.amplifier):
        raise ValueError("student.filter / amplifier are switched off, but one branch has no tuners to switch")
    if config.training.batch_size % config.training.accumulate:
        raise ValueError("training.batch_size must be a multiple of training.accumulate")
