"""Bilinear resizing as products with fixed matrices: runtimes agree on those, not on resizing."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

Grid = tuple[int, int]


class Resampled(nn.Module):
    """(B, C, h, w) -> (B, C, H, W), bilinear."""

    rows: Tensor
    columns: Tensor

    def __init__(self, before: Grid, after: Grid, align_corners: bool) -> None:
        super().__init__()
        rows, columns = (torch.from_numpy(_weights(*sides, align_corners)) for sides in zip(before, after, strict=True))
        self.register_buffer("rows", rows, persistent=False)
        self.register_buffer("columns", columns.T.contiguous(), persistent=False)
        self.same = before == after

    def forward(self, x: Tensor) -> Tensor:
        return x if self.same else self.rows @ (x @ self.columns)


def resized(x: Tensor, size: tuple[int, int]) -> Tensor:
    """(B, C, h, w) -> (B, C, H, W), bilinear, corners not aligned; as products while exporting."""
    if torch.compiler.is_exporting():
        resampled: Tensor = Resampled((int(x.shape[2]), int(x.shape[3])), size, align_corners=False)(x)
        return resampled
    return F.interpolate(x, size=size, mode="bilinear", align_corners=False)


class ResampledSum(nn.Module):
    """Maps (B, 1, h_i, w_i) of several sizes -> (B, H, W): weighted sum at one size, bilinear, corners aligned."""

    rows: Tensor

    def __init__(self, before: Sequence[Grid], after: Grid, weights: Sequence[float]) -> None:
        super().__init__()
        sized = [Resampled(size, after, align_corners=True) for size in before]
        weighted = [weight * resampled.rows for weight, resampled in zip(weights, sized, strict=True)]
        rows = torch.cat(weighted, dim=1)  # so that one product weighs and sums as well
        self.register_buffer("rows", rows, persistent=False)
        for index, resampled in enumerate(sized):
            self.register_buffer(f"columns_{index}", resampled.columns, persistent=False)

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        wide = [level_map[:, 0] @ getattr(self, f"columns_{index}") for index, level_map in enumerate(maps)]
        return self.rows @ torch.cat(wide, dim=1)


class OnOneGrid(nn.Module):
    """Levels (B, C_i, h_i, w_i) -> (B, C, h, w) side by side on the first one's cells, corners not aligned."""

    def __init__(self, grids: Sequence[Grid]) -> None:
        super().__init__()
        self.joined = nn.ModuleList(Resampled(grid, grids[0], align_corners=False) for grid in grids)

    def forward(self, levels: Sequence[Tensor]) -> Tensor:
        return torch.cat([joined(level) for joined, level in zip(self.joined, levels, strict=True)], dim=1)


@cache
def _weights(before: int, after: int, align_corners: bool) -> NDArray[np.float32]:
    """(after, before) weights along one axis."""
    if align_corners:
        place = np.arange(after) * ((before - 1) / max(after - 1, 1))
    else:
        place = np.maximum((np.arange(after) + 0.5) * (before / after) - 0.5, 0)
    low = np.minimum(np.floor(place).astype(int), before - 1)
    share = place - low
    weights = np.zeros((after, before))
    weights[np.arange(after), low] += 1 - share
    weights[np.arange(after), np.minimum(low + 1, before - 1)] += share
    return weights.astype(np.float32)
