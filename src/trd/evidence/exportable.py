"""What a method offers whose detectors can be exported; nothing here needs torch.

A state becomes graphs that any runtime can compute, and the steps from images to maps (`trd.engines.steps`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from trd.config import Recipe
from trd.engines.steps import Step
from trd.types import State

if TYPE_CHECKING:
    from torch import nn

Role = Literal["teacher", "student", "score"]
"""Of a graph: what everything is measured against; what may be computed in less than float32; the distances."""


@dataclass(frozen=True)
class GraphForm:
    """A module that can be exported: tensors in the order of `inputs` to a tuple in the order of `outputs`.

    inputs: name -> shape of one part, such as (C, h, w); the batch is the first axis and may be of any size.
    """

    module: nn.Module
    inputs: Mapping[str, tuple[int, ...]]
    outputs: tuple[str, ...]
    role: Role


@dataclass(frozen=True)
class ExportForm:
    graphs: Mapping[str, GraphForm]
    steps: tuple[Step, ...]


Observations = Callable[[], Iterable[tuple[Mapping[str, NDArray[np.float32]], NDArray[np.bool_] | None]]]
"""Yields, over good parts, the values of all steps (name -> (1, ...)) and the region (h, w); called once per pass."""


@runtime_checkable
class Exportable(Protocol):
    """A `trd.evidence.base.Method` that has these two as well."""

    def export_form(self, recipe: Recipe, state: State, size: tuple[int, int]) -> ExportForm:
        """size: (height, width) of the images. Raises CheckpointError for a state that does not fit the recipe."""

    def refitted(
        self, recipe: Recipe, state: State, region: str, training: Observations, held_out: Observations
    ) -> State:
        """The state with what has a closed form fitted anew to values that a runtime computed, in its precision; the
        state itself where there is nothing of the kind. region: "part" or "frame", what is scored."""
