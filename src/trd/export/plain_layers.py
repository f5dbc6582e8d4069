"""Modules with only layers that every runtime has, and no BatchNorm.

They compute the same as the modules that were trained, but for rounding (tests hold them to it).
"""

from __future__ import annotations

from typing import TypeVar, cast

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
