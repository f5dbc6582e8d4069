"""`trd.evidence.base.Evidence` of labelled defects, which `trd learn` fits: training has none."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from trd.config import KNOWN_DEFECTS, Recipe
from trd.decision.kinds import DISTANCES, PLACE
from trd.engines.graphs import IMAGE, MAP, GraphForm, Graphs, Shape, Step
from trd.engines.pytorch.resampling import resized
from trd.errors import CheckpointError
from trd.evidence.base import GraphContext, Observations
from trd.evidence.known_defects.channels import Channels
from trd.evidence.known_defects.directions import Directions
from trd.evidence.known_defects.kinds import KINDS, kind_distances
from trd.evidence.state import fill, tensors_of
from trd.types import State

KIND_GRAPH = f"{KNOWN_DEFECTS}_kinds"


class KnownDefectsGraph(nn.Module):
    """Maps of the other branches (B, h, w), then images (B, 3, h, w) -> (B, h, w)."""

    def __init__(self, channels: Channels, directions: Directions) -> None:
        super().__init__()
        self.channels, self.directions = channels, directions

    def forward(self, *values: Tensor) -> tuple[Tensor, ...]:
        height, width = values[-1].shape[2:]
        cells: Tensor = self.directions(self.channels(*values))
        return (resized(cells[:, None], (height, width))[:, 0],)


class KnownDefects:
    def graphs(self, recipe: Recipe, state: State, context: GraphContext) -> Graphs:
        if "directions.offsets" in state and "directions.steepness" not in state:
            raise CheckpointError("its lesson is of an earlier release: teach the detector before it again (trd learn)")
        channels = Channels(recipe)
        kinds = state.get("directions.offsets", torch.zeros(1).numpy())
        module = KnownDefectsGraph(channels, Directions(len(kinds), channels.count))
        fill(module, {name: value for name, value in state.items() if not name.startswith(KINDS)})
        ports = {f"value_{number}": name for number, name in enumerate(channels.names)}
        shapes: dict[str, Shape] = {
            port: (3, *context.size) if name.startswith(IMAGE) else context.size for port, name in ports.items()
        }
        form = GraphForm(module.eval(), shapes, ("map",), "score")
        graphs = Graphs({KNOWN_DEFECTS: form}, (Step(KNOWN_DEFECTS, ports, {"map": MAP + KNOWN_DEFECTS}),))
        if not any(name.startswith(KINDS) for name in state):  # directions alone
            return graphs
        distances = GraphForm(
            kind_distances(Channels(recipe), state).eval(),
            {**shapes, "place": context.size},
            ("distances",),
            "score",
        )
        step = Step(KIND_GRAPH, {**ports, "place": PLACE}, {"distances": DISTANCES})
        return graphs + Graphs({KIND_GRAPH: distances}, on_demand=(step,))

    def refitted(
        self, recipe: Recipe, state: State, region: str, training: Observations, held_out: Observations
    ) -> State:
        return state


def state_of(channels: Channels, directions: Directions) -> State:
    return tensors_of(KnownDefectsGraph(channels, directions))


EVIDENCE = KnownDefects()
