"""Each modality's features from those of the others, and how far they are from what is there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from trd.config import CROSSMODAL_MAPPING, CrossmodalMappingConfig, Recipe
from trd.engines.graphs import Shape
from trd.engines.pytorch.resampling import OnOneGrid, Resampled


class CrossmodalMappings(nn.Module):
    """modality -> (..., C) features of a cell to modality -> (..., C) features predicted from all others'."""

    def __init__(self, modalities: Sequence[str], channels: int) -> None:
        super().__init__()
        self.modalities = tuple(modalities)
        others = (len(self.modalities) - 1) * channels
        # In the modalities' order: a ModuleDict keeps some names, such as "keys", for itself.
        self.mappings = nn.ModuleList(_mapping(others, channels) for _ in self.modalities)

    def forward(self, cells: Mapping[str, Tensor]) -> dict[str, Tensor]:
        predicted = {}
        for name, mapping in zip(self.modalities, self.mappings, strict=True):
            others = [cells[other] for other in self.modalities if other != name]
            predicted[name] = mapping(torch.cat(others, dim=-1))
        return predicted


class MappingGraph(nn.Module):
    """Levels of the other modalities, one after the other -> (B, h, w, C) features predicted of this one."""

    def __init__(self, mapping: nn.Module, levels: Sequence[Shape]) -> None:
        super().__init__()
        self.mapping = mapping
        self.cells = Cells(levels)

    def forward(self, *levels: Tensor) -> tuple[Tensor, ...]:
        return (self.mapping(torch.cat(self.cells(levels), dim=-1)),)


class ProductGraph(nn.Module):
    """Levels of all modalities, then what was predicted of each -> the map at the images' size: the product of the
    distances."""

    def __init__(self, modalities: int, levels: Sequence[Shape], size: tuple[int, int]) -> None:
        super().__init__()
        self.cells = Cells(levels)
        self.sized = Resampled(self.cells.grid, size, align_corners=False)
        self.levels = modalities * len(levels)

    def forward(self, *values: Tensor) -> tuple[Tensor, ...]:
        product = torch.ones((), device=values[0].device)
        for predicted, features in zip(values[self.levels :], self.cells(values[: self.levels]), strict=True):
            product = product * unit_distances(predicted, features).clamp_min(0).sqrt()
        return (self.sized(product[:, None])[:, 0],)


class Cells(nn.Module):
    """Levels of some modalities, one modality after the other -> (B, h, w, C) for each, on the finest level's cells."""

    def __init__(self, levels: Sequence[Shape]) -> None:
        super().__init__()
        grids = [(height, width) for _, height, width in levels]
        self.on_one_grid, self.count, self.grid = OnOneGrid(grids), len(levels), grids[0]

    def forward(self, levels: Sequence[Tensor]) -> list[Tensor]:
        pyramids = [levels[start : start + self.count] for start in range(0, len(levels), self.count)]
        return [self.on_one_grid(pyramid).permute(0, 2, 3, 1) for pyramid in pyramids]


def unit_distances(predicted: Tensor, features: Tensor) -> Tensor:
    """(..., C) twice to (...): the squared distance between their unit vectors, twice (1 - cosine)."""
    return (F.normalize(predicted, dim=-1) - F.normalize(features, dim=-1)).square().sum(dim=-1)


def _mapping(channels_in: int, channels_out: int) -> nn.Sequential:
    inner = (channels_in + channels_out) // 2
    return nn.Sequential(
        nn.Linear(channels_in, inner), nn.GELU(), nn.Linear(inner, inner), nn.GELU(), nn.Linear(inner, channels_out)
    )


def section(recipe: Recipe) -> CrossmodalMappingConfig:
    return cast(CrossmodalMappingConfig, recipe.evidence[CROSSMODAL_MAPPING])
