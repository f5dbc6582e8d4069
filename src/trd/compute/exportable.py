"""Modules in the form that exporters and runtimes take best: no BatchNorm, nothing that reads the batch as a number.

They compute the same as the modules that were trained, but for rounding (tests hold them to it).
"""

from __future__ import annotations

from functools import cache
from typing import TypeVar, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from trd.compute.frozen import folded
from trd.compute.resample import Halving

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


@cache
def _resampling(before: int, after: int, align_corners: bool) -> Tensor:
    """(after, before) weights of bilinear resizing along one axis."""
    lines = torch.eye(before)[None, None]
    sized = F.interpolate(lines, size=(after, before), mode="bilinear", align_corners=align_corners)
    return sized[0, 0] if before != after else torch.eye(before)


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
