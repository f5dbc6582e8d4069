"""Prepared images -> a map of patch statistics per modality, and their fit on good parts."""

from __future__ import annotations

import math
from typing import Literal, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from trd.config import PATCH_STATISTICS, PatchStatisticsConfig, Recipe, VectorAxes
from trd.engines.pytorch.resampling import resized
from trd.evidence.patch_statistics.features import STRIDE, features_of
from trd.evidence.patch_statistics.mixture import PlaceMixture, fit_mixture
from trd.preprocess.parts import PreparedParts
from trd.types import PreparedSample

ENOUGH = 0.5  # of a cell's pixels must be scored for the cell to be learned from
MOST_CELLS = 600_000  # kept of one modality, equally of each part: 40 MB


class StatisticsMap(nn.Module):
    """A modality's (B, 3, h, w) images -> its (B, h, w) map. vectors: what its images hold (`Recipe.vector_maps`)."""

    def __init__(self, vectors: VectorAxes | Literal["none"], components: int) -> None:
        super().__init__()
        self.features = features_of(vectors)
        self.mixture = PlaceMixture(self.features.channels, components)

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        cells = self.mixture(self.features(image))[:, None]
        return (resized(cells, (image.shape[2], image.shape[3]))[:, 0],)


def statistics_map(recipe: Recipe, modality: str) -> StatisticsMap:
    """As a recipe asks for, not fitted."""
    return StatisticsMap(recipe.vector_maps.get(modality, "none"), section(recipe).components)


@torch.no_grad()
def fit_statistics(recipe: Recipe, parts: PreparedParts, device: torch.device) -> list[StatisticsMap]:
    """Of good parts, a map per modality; takes seconds. The recipe's seed decides all of it."""
    maps = {name: statistics_map(recipe, name).to(device) for name in recipe.modalities}
    random = torch.Generator().manual_seed(recipe.seed)
    most = max(1, MOST_CELLS // len(parts))
    cells: dict[str, list[Tensor]] = {name: [] for name in maps}
    for part in parts:
        scored = scored_cells(part)
        if len(scored) > most:
            scored = scored[torch.randperm(len(scored), generator=random)[:most]]
        for name, modality_map in maps.items():
            image = torch.from_numpy(part.images[name])[None].to(device)
            cells[name].append(modality_map.features(image)[0].flatten(1).T[scored.to(device)])
    for name, modality_map in maps.items():
        modality_map.mixture = fit_mixture(cells[name], section(recipe).components, random)
    return list(maps.values())


def section(recipe: Recipe) -> PatchStatisticsConfig:
    return cast(PatchStatisticsConfig, recipe.evidence[PATCH_STATISTICS])


def scored_cells(part: PreparedSample) -> Tensor:
    """Indices of the cells of which enough is scored; of all where the part has no region, or too small a one."""
    height, width = (math.floor(side / STRIDE) for side in next(iter(part.images.values())).shape[1:])
    all_cells = torch.arange(height * width)
    if part.region is None:
        return all_cells
    share = F.avg_pool2d(torch.from_numpy(part.region).float()[None], STRIDE).flatten()
    scored = (share >= ENOUGH).nonzero().flatten()
    return scored if len(scored) else all_cells
