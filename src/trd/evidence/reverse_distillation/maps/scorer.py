"""Network output -> one raw anomaly map per modality, by the recipe's distance."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from trd.config import Recipe
from trd.evidence.reverse_distillation.config import branch_channels, network_branches, section
from trd.evidence.reverse_distillation.maps.anomaly_map import anomaly_map
from trd.evidence.reverse_distillation.maps.residuals import ResidualDistance
from trd.evidence.reverse_distillation.network.outputs import NetworkOutput


class MapScorer(nn.Module):
    """branch -> (B, H, W) raw map. `distances` is empty for the paper's cosine, which has nothing to fit."""

    def __init__(self, branches: Sequence[str], channels: Sequence[int], pool: Sequence[int] | None) -> None:
        super().__init__()
        self.distances = nn.ModuleDict(
            {name: ResidualDistance(channels, pool) for name in branches} if pool is not None else {}
        )

    def forward(self, output: NetworkOutput, size: tuple[int, int]) -> dict[str, Tensor]:
        maps = {}
        for name, student in output.students.items():
            teacher = output.teachers[name]
            if name in self.distances:
                maps[name] = self.distances[name](student.fused, teacher, size)
            else:
                fused = tuple(level.float() for level in student.fused)
                maps[name] = anomaly_map(fused, teacher, size)
        return maps


def build_scorer(recipe: Recipe, channels: Sequence[int]) -> MapScorer:
    config = section(recipe)
    pool = config.pool if config.distance == "residual" else None
    return MapScorer(network_branches(recipe), branch_channels(recipe, channels), pool)
