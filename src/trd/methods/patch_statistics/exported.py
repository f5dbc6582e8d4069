"""Patch statistics as one graph."""

from __future__ import annotations

from torch import Tensor, nn

from trd.config import Recipe
from trd.engines.steps import IMAGE, MAP, Step
from trd.methods.exportable import ExportForm, GraphForm
from trd.statistics.maps import StatisticsMaps

SCORE = "score"


class StatisticsGraph(nn.Module):
    """Images in the modalities' order -> a map of each."""

    def __init__(self, maps: StatisticsMaps) -> None:
        super().__init__()
        self.maps = maps

    def forward(self, *images: Tensor) -> tuple[Tensor, ...]:
        return tuple(self.maps(dict(zip(self.maps.modalities, images, strict=True))).values())


def statistics_export_form(recipe: Recipe, maps: StatisticsMaps, size: tuple[int, int]) -> ExportForm:
    names = tuple(recipe.modalities)
    images = {f"image_{number}": IMAGE + name for number, name in enumerate(names)}
    outputs = {f"map_{number}": MAP + name for number, name in enumerate(names)}
    form = GraphForm(StatisticsGraph(maps).eval(), dict.fromkeys(images, (3, *size)), tuple(outputs), "score")
    return ExportForm({SCORE: form}, (Step(SCORE, images, outputs),))
