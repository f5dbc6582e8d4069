"""Prepared images -> a map of patch statistics per modality, and their fit on good parts."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from trd.config import Recipe
from trd.engines.pytorch.exportable import resized
from trd.evidence.patch_statistics.features import STRIDE, ColourFeatures, SurfaceFeatures, features_of
from trd.evidence.patch_statistics.mixture import PlaceMixture, fit_mixture
from trd.preprocess.parts import PreparedParts
from trd.types import PreparedSample

ENOUGH = 0.5  # of a cell's pixels must be scored for the cell to be learned from
MOST_CELLS = 600_000  # kept of one modality, equally of each part: 40 MB


class StatisticsMaps(nn.Module):
    """modality -> (B, 3, h, w) images to modality -> (B, h, w) maps, float32, also under autocast."""

    def __init__(self, recipe: Recipe, components: int) -> None:
        super().__init__()
        vectors = recipe.vector_maps
        self.modalities = tuple(recipe.modalities)
        self.features = nn.ModuleList(features_of(vectors.get(name, "none")) for name in self.modalities)
        self.mixtures = nn.ModuleList(
            PlaceMixture(cast(ColourFeatures | SurfaceFeatures, features).channels, components)
            for features in self.features
        )

    def forward(self, images: Mapping[str, Tensor]) -> dict[str, Tensor]:
        maps = {}
        for name, features, mixture in zip(self.modalities, self.features, self.mixtures, strict=True):
            stack = images[name].float()
            with torch.autocast(stack.device.type, enabled=False):
                cells = mixture(features(stack))[:, None]
            maps[name] = resized(cells, (stack.shape[2], stack.shape[3]))[:, 0]
        return maps


@torch.no_grad()
def fit_statistics(recipe: Recipe, components: int, parts: PreparedParts, device: torch.device) -> StatisticsMaps:
    """Of good parts; takes seconds. The recipe's seed decides all of it."""
    maps = StatisticsMaps(recipe, components).to(device)
    random = torch.Generator().manual_seed(recipe.seed)
    most = max(1, MOST_CELLS // len(parts))
    found: list[list[Tensor]] = [[] for _ in maps.modalities]
    for part in parts:
        scored = scored_cells(part)
        if len(scored) > most:
            scored = scored[torch.randperm(len(scored), generator=random)[:most]]
        for name, features, of_parts in zip(maps.modalities, maps.features, found, strict=True):
            image = torch.from_numpy(part.images[name])[None].to(device)
            of_parts.append(features(image)[0].flatten(1).T[scored.to(device)])
    maps.mixtures = nn.ModuleList(fit_mixture(of_parts, components, random) for of_parts in found)
    return maps


def scored_cells(part: PreparedSample) -> Tensor:
    """Indices of the cells of which enough is scored; of all where the part has no region, or too small a one."""
    height, width = (math.floor(side / STRIDE) for side in next(iter(part.images.values())).shape[1:])
    every = torch.arange(height * width)
    if part.region is None:
        return every
    share = F.avg_pool2d(torch.from_numpy(part.region).float()[None], STRIDE).flatten()
    scored = (share >= ENOUGH).nonzero().flatten()
    return scored if len(scored) else every
