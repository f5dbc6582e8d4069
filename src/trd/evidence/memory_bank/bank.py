"""The teacher's levels -> patch features -> distances from the nearest entries."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from trd.config import MEMORY_BANK, MemoryBankConfig, Recipe
from trd.engines.graphs import Shape
from trd.engines.pytorch.resampling import Grid, OnOneGrid, Resampled
from trd.evidence.base import GraphContext
from trd.evidence.memory_bank.neighbours import NearestNeighbours
from trd.teachers.frozen import STRIDES
from trd.teachers.pyramid import Pyramid


class FeatureBank(nn.Module):
    """Entries (M, C) of one modality, in deviations (C,) from the mean, a scalar over all channels and cells.

    All deviations are one, or one for each level (`MemoryBankConfig.balance`). (Published code of two-sensor banks
    takes one sensor's mean with the other's deviation; here each has its own.)
    """

    entries: Tensor
    mean: Tensor
    std: Tensor

    def __init__(self, count: int, channels: int) -> None:
        super().__init__()
        self.register_buffer("entries", torch.zeros(count, channels))
        self.register_buffer("mean", torch.zeros(()))
        self.register_buffer("std", torch.ones(channels))


class PatchFeatures(nn.Module):
    """Levels, fine to coarse -> (B, C, h, w) means over a square of cells, on the finest one's grid."""

    def __init__(self, grids: Sequence[Grid], patch: int) -> None:
        super().__init__()
        self.patch = patch
        self.on_one_grid = OnOneGrid(grids)

    def forward(self, levels: Pyramid) -> Tensor:
        padding = self.patch // 2
        means = [F.avg_pool2d(level, self.patch, 1, padding, count_include_pad=False) for level in levels]
        features: Tensor = self.on_one_grid(means)
        return features


class BankGraph(nn.Module):
    """A modality's chosen levels -> (B, h, w) distances from its bank at the images' size."""

    def __init__(
        self, bank: FeatureBank, config: MemoryBankConfig, levels: Sequence[Shape], context: GraphContext
    ) -> None:
        super().__init__()
        grids = grids_of(levels)
        self.bank, self.features = bank, PatchFeatures(grids, config.patch)
        self.distances = NearestNeighbours(
            bank.entries, torch.bfloat16 if context.precision == "bf16" else torch.float32
        )
        self.sized = Resampled(grids[0], context.size, align_corners=False)

    def forward(self, *levels: Tensor) -> tuple[Tensor, ...]:
        features = self.features(levels).permute(0, 2, 3, 1)
        cells = (features.flatten(0, 2) - self.bank.mean) / self.bank.std
        distances = self.distances(cells).view(features.shape[:3])
        return (self.sized(distances[:, None])[:, 0],)


def section(recipe: Recipe) -> MemoryBankConfig:
    return cast(MemoryBankConfig, recipe.evidence[MEMORY_BANK])


def levels_of(config: MemoryBankConfig) -> tuple[int, ...]:
    return tuple(STRIDES.index(stride) for stride in config.strides)


def grids_of(levels: Sequence[Shape]) -> list[Grid]:
    return [(height, width) for _, height, width in levels]
