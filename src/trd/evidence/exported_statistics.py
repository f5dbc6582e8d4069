"""Patch statistics as graphs, one for each modality: they need nothing of one another."""

from __future__ import annotations

import copy
from collections.abc import Callable

from torch import Tensor, nn

from trd.engines.steps import IMAGE, MAP, Step
from trd.evidence.exportable import ExportForm, GraphForm
from trd.evidence.patch_statistics.maps import StatisticsMaps


class StatisticsGraph(nn.Module):
    """A modality's image -> its map."""

    def __init__(self, maps: StatisticsMaps, name: str) -> None:
        super().__init__()
        index, self.maps = maps.modalities.index(name), copy.deepcopy(maps)
        self.maps.modalities = (name,)
        self.maps.features = nn.ModuleList([self.maps.features[index]])
        self.maps.mixtures = nn.ModuleList([self.maps.mixtures[index]])

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        return tuple(self.maps(dict.fromkeys(self.maps.modalities, image)).values())


def statistics_form(maps: StatisticsMaps, branch: Callable[[str], str], size: tuple[int, int]) -> ExportForm:
    """branch: modality -> name of its map."""
    graphs, steps = dict[str, GraphForm](), list[Step]()
    for number, name in enumerate(maps.modalities):
        module = StatisticsGraph(maps, name).eval()
        graphs[f"statistics_{number}"] = GraphForm(module, {"image": (3, *size)}, ("map",), "score")
        steps.append(Step(f"statistics_{number}", {"image": IMAGE + name}, {"map": MAP + branch(name)}))
    return ExportForm(graphs, tuple(steps))
