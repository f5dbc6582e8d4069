"""Modules in the form that exporters and runtimes take best: no BatchNorm, nothing that reads the batch as a number.

They compute the same as the modules that were trained, but for rounding (tests hold them to it).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import TypeVar, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from trd.engines.pytorch.frozen import folded
from trd.engines.pytorch.halving import Halving

Module = TypeVar("Module", bound=nn.Module)


class SpreadConvolution(nn.Module):
    """A 2 x 2 stride-2 transposed convolution as a 1 x 1 one to four times the channels, which are then laid out in
    space: no runtime has the first one in INT8, every one has the second."""

    def __init__(self, transposed: nn.ConvTranspose2d) -> None:
        super().__init__()
        inlet, outlet = transposed.in_channels, transposed.out_channels
        self.convolution = nn.Conv2d(inlet, 4 * outlet, 1, bias=transposed.bias is not None).requires_grad_(False)
        weight = transposed.weight.detach().permute(1, 2, 3, 0).reshape(4 * outlet, inlet, 1, 1)
        self.convolution.weight.copy_(weight)
        if transposed.bias is not None and self.convolution.bias is not None:
            self.convolution.bias.copy_(transposed.bias.detach().repeat_interleave(4))

    def forward(self, x: Tensor) -> Tensor:
        return F.pixel_shuffle(self.convolution(x), 2)


class Resampled(nn.Module):
    """(B, C, h, w) -> (B, C, H, W), bilinear, as two products with fixed matrices: runtimes agree on those, not on
    resizing; smoothing that follows can be one of them."""

    rows: Tensor
    columns: Tensor

    def __init__(self, before: tuple[int, int], after: tuple[int, int], align_corners: bool) -> None:
        super().__init__()
        self.register_buffer("rows", _resampling(before[0], after[0], align_corners))
        self.register_buffer("columns", _resampling(before[1], after[1], align_corners).T.contiguous())

    def forward(self, x: Tensor) -> Tensor:
        return self.rows @ (x @ self.columns)


class ResampledSum(nn.Module):
    """Maps (B, 1, h_i, w_i) of several sizes -> (B, H, W): their sum at one size, bilinear, corners aligned."""

    rows: Tensor

    def __init__(self, before: Sequence[tuple[int, int]], after: tuple[int, int]) -> None:
        super().__init__()
        sized = [Resampled(size, after, align_corners=True) for size in before]
        self.register_buffer("rows", torch.cat([one.rows for one in sized], dim=1))  # so that one product sums as well
        for index, one in enumerate(sized):
            self.register_buffer(f"columns_{index}", one.columns)

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        wide = [one[:, 0] @ getattr(self, f"columns_{index}") for index, one in enumerate(maps)]
        return self.rows @ torch.cat(wide, dim=1)


@cache
def _weights(before: int, after: int, align_corners: bool) -> NDArray[np.float32]:
    """(after, before) weights of bilinear resizing along one axis. In numpy: an exporter must not trace it."""
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


def _resampling(before: int, after: int, align_corners: bool) -> Tensor:
    return torch.from_numpy(_weights(before, after, align_corners))


def resized(x: Tensor, size: tuple[int, int]) -> Tensor:
    """F.interpolate, bilinear, corners not aligned; as products while exporting (`Resampled`)."""
    if torch.compiler.is_exporting():
        rows, columns = (_resampling(int(x.shape[2 + axis]), size[axis], False) for axis in range(2))
        return rows @ (x @ columns.T)
    return F.interpolate(x, size=size, mode="bilinear", align_corners=False)


def exportable(module: Module) -> Module:
    """A folded copy in float32 on the CPU, with only layers that every runtime has."""
    copied = folded(module.float().cpu(), faster=False)
    return copied if getattr(copied, "keeps_layers", False) else _plain(copied)


def _plain(module: Module) -> Module:
    for name, child in list(module.named_children()):
        if isinstance(child, nn.ConvTranspose2d):
            setattr(module, name, SpreadConvolution(child))
        elif isinstance(child, Halving):
            setattr(module, name, _convolution(child))
        else:
            _plain(child)
    return module


def _convolution(halving: Halving) -> nn.Conv2d:
    plain = nn.Conv2d(halving.in_channels, halving.out_channels, 2, 2, bias=halving.bias is not None)
    plain.weight, plain.bias = halving.weight, cast("nn.Parameter | None", halving.bias)
    return plain
