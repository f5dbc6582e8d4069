"""What a detector computes: graphs with fixed shapes, and the steps that call them, from images to maps.

PyTorch runs the modules (`engines.pytorch`), exporters write them for other runtimes (`engines.steps` runs those).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from torch import nn

Shape = tuple[int, ...]
Role = Literal["teacher", "scaler", "student", "score"]
"""Of a graph: what everything is measured against; the same standardised; what may be computed in less than float32;
the distances."""

IMAGE, MAP = "image.", "map."  # before the modality of an input, and the branch of a result


@dataclass(frozen=True)
class GraphForm:
    """A module with fixed shapes: tensors in the order of `inputs` to a tuple in the order of `outputs`.

    inputs: name -> shape of one part, such as (C, h, w); the batch is the first axis and may be of any size.
    """

    module: nn.Module
    inputs: Mapping[str, Shape]
    outputs: tuple[str, ...]
    role: Role


@dataclass(frozen=True)
class Step:
    """One call of a graph. inputs, outputs: the graph's own names -> names of values; a graph may be called by several
    steps (one teacher for all modalities)."""

    graph: str
    inputs: Mapping[str, str]
    outputs: Mapping[str, str]


@dataclass(frozen=True)
class Graphs:
    """graphs by name, and the steps in an order in which every value is there when it is needed.

    on_demand: steps that no map needs, run for single parts when somebody asks (`Engine.on_demand`).
    """

    graphs: Mapping[str, GraphForm] = field(default_factory=dict)
    steps: tuple[Step, ...] = ()
    on_demand: tuple[Step, ...] = ()

    def __add__(self, others: Graphs) -> Graphs:
        return Graphs(
            {**self.graphs, **others.graphs}, (*self.steps, *others.steps), (*self.on_demand, *others.on_demand)
        )

    def without_scores(self) -> Graphs:
        """What comes before the distances."""
        graphs = {name: form for name, form in self.graphs.items() if form.role != "score"}
        return Graphs(graphs, tuple(step for step in self.steps if step.graph in graphs))
