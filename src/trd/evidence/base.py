"""What an evidence has to offer.

It turns prepared images, or the teacher's pyramids of them, into raw anomaly maps, one per branch (mostly: per
modality). Everything before it (reading, preparing) and after it (z-scores, smoothing, fusion, thresholds, evaluation,
reports) is the same for all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, runtime_checkable

from rich.console import Console

from trd.config import Recipe
from trd.engines.graphs import Graphs, Shape
from trd.preprocess.parts import PreparedParts
from trd.preprocess.tiles import Tiles
from trd.types import PrecisionName, State

if TYPE_CHECKING:  # the machine at the line calibrates without torch
    from torch import Tensor

    from trd.teachers.frozen import FrozenTeacher

Observations: TypeAlias = "Callable[[], Iterable[tuple[Mapping[str, Tensor], Tensor | None]]]"
"""Yields, over good parts, the values of all steps before the scores (name -> (B, ...)) and what is scored (B, h, w)
bool, None for all; called once per pass."""


@dataclass(frozen=True)
class FitJob:
    """What is learned from, and where the work may leave something.

    training: good parts. held_out: further good parts, which calibration uses; an evidence may take scales from them,
    no weights; None where every good part is trained on (`scoring.calibration = "cross"`). folder: for checkpoints and
    logs of a training that can be resumed; the caller deletes `folder/checkpoints` when the detector is complete.
    device: as `resolve_device` takes it. tiles: None where the network sees images as a whole. region: "part" or
    "frame", what of the images is scored. record: of this training, for an evidence's own facts.
    """

    recipe: Recipe
    title: str
    training: PreparedParts
    held_out: PreparedParts | None
    folder: Path
    device: str = "auto"
    tiles: Tiles | None = None
    region: str = "frame"
    console: Console = field(default_factory=lambda: Console(quiet=True))
    record: dict[str, Any] = field(default_factory=dict)

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of what the network sees."""
        if self.tiles is not None:
            return self.tiles.tile
        height, width = next(iter(self.training[0].images.values())).shape[1:]
        return height, width


@dataclass(frozen=True)
class GraphContext:
    """What graphs are built for. size: (height, width) of the images. levels: (C, h, w) of the teacher's pyramid, ()
    without a teacher. linear: the teacher's outputs take both signs. precision: of what may be lower than float32."""

    size: tuple[int, int]
    levels: tuple[Shape, ...] = ()
    linear: bool = True
    precision: PrecisionName = "fp32"


class Evidence(Protocol):
    """The `EVIDENCE` of a registered module."""

    def graphs(self, recipe: Recipe, state: State, context: GraphContext) -> Graphs:
        """From images (`engines.graphs.IMAGE`) and the teacher's levels (`teachers.frozen.level_value`) to the maps of
        the section's branches (`engines.graphs.MAP`), on the CPU. Names of graphs and further values begin with the
        kind. Raises CheckpointError for a state that does not fit the recipe."""

    def refitted(
        self, recipe: Recipe, state: State, region: str, training: Observations, held_out: Observations
    ) -> State:
        """The state with what has a closed form fitted anew to values that a runtime computed in its precision; the
        state itself where there is nothing of the kind. region: "part" or "frame", what is scored."""


@runtime_checkable
class Trained(Evidence, Protocol):
    """One that good parts alone fit (not `needs_defects` of its section)."""

    def fit(self, job: FitJob, teacher: FrozenTeacher | None) -> State:
        """Learn; a job that was interrupted and is started again ends in the same state. teacher: None where no
        evidence of the recipe reads one.

        Raises TRDError for the user's mistakes, KeyboardInterrupt after Ctrl-C with the last checkpoint kept.
        """


@runtime_checkable
class Growing(Protocol):
    """An `Evidence` that takes in further good parts without a training."""

    def grown(self, job: FitJob, teacher: FrozenTeacher | None, state: State, further: PreparedParts) -> State:
        """The state with further good parts. job: of the training that the state is of, for its
        parts and seed, with held-out parts."""
