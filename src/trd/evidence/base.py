"""What a method has to offer; nothing here needs torch.

A method turns prepared images into raw anomaly maps, one per branch (mostly: per modality). Everything before it
(reading, preparing) and after it (z-scores, smoothing, fusion, thresholds, evaluation, reports) is the same for all.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from rich.console import Console

from trd.config import MethodConfig, Recipe
from trd.engines.base import Engine, Placement
from trd.preprocess.parts import PreparedParts
from trd.types import State

FULL = "full"
"""The variant of a recipe with nothing taken away."""


@dataclass(frozen=True)
class FitJob:
    """What a method may learn from, and where it may work.

    training: good parts. held_out: further good parts, which calibration uses; a method may take scales from them, no
    weights; None where every good part is trained on (`scoring.calibration = "cross"`). folder: for checkpoints and
    logs of a training that can be resumed; the caller deletes `folder/checkpoints` when the detector is complete.
    region: "part" or "frame", what of the images is scored. record: of this training, for the method's own facts.
    """

    recipe: Recipe
    title: str
    training: PreparedParts
    held_out: PreparedParts | None
    folder: Path
    device: str = "auto"
    region: str = "frame"
    console: Console = field(default_factory=lambda: Console(quiet=True))
    record: dict[str, Any] = field(default_factory=dict)


class Method(Protocol):
    """The `METHOD` of a registered module. Importing the module must be cheap: torch only inside fit and engine."""

    config: type[MethodConfig]
    """The recipe's section `method`, validated."""

    def without_effect(self, recipe: Recipe) -> tuple[tuple[str, ...], ...]:
        """Paths of the recipe's keys that change time or memory only, not what is learned."""

    def branches(self, recipe: Recipe) -> tuple[str, ...]:
        """Names of the maps."""

    def check(self, recipe: Recipe) -> None:
        """Raises ValueError where the section contradicts itself or the rest of the recipe."""

    def fit(self, job: FitJob) -> State:
        """Learn; a job that was interrupted and is started again ends in the same state.

        Raises TRDError for the user's mistakes, KeyboardInterrupt after Ctrl-C with the last checkpoint kept.
        """

    def engine(self, recipe: Recipe, state: State, placement: Placement) -> Engine:
        """What computes the raw maps. Raises CheckpointError for a state that does not fit the recipe."""

    def variants(self, recipe: Recipe) -> dict[str, Recipe]:
        """Ablations: name -> recipe with one thing taken away, the full one as FULL. Raises RecipeError for none."""
