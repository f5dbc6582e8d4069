"""Convolution blocks of the student. Every convolution has no bias and is followed by BatchNorm.

Initialisation as published: ordinary convolutions Kaiming normal (fan_out, ReLU), transposed ones PyTorch's default.
"""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

from trd.engines.pytorch.halving import Doubling, Halving
from trd.engines.pytorch.onednn import OneCallResidual

Resample = Literal["same", "down", "up"]


def conv_norm(channels_in: int, channels_out: int, kernel: int, stride: int = 1) -> nn.Sequential:
    """Convolution and BatchNorm; odd kernels keep the size (divided by the stride), 2 x 2 stride 2 halves it."""
    if kernel == stride == 2:
        conv: nn.Conv2d = Halving(channels_in, channels_out)
    else:
        conv = nn.Conv2d(channels_in, channels_out, kernel, stride, padding=(kernel - 1) // 2, bias=False)
    nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu")
    return nn.Sequential(conv, nn.BatchNorm2d(channels_out))


def up_norm(channels_in: int, channels_out: int) -> nn.Sequential:
    """2 x 2 stride-2 transposed convolution and BatchNorm: doubles the resolution."""
    return nn.Sequential(Doubling(channels_in, channels_out), nn.BatchNorm2d(channels_out))


def activation(linear: bool = False) -> nn.Module:
    """ReLU, or nothing where a student has to match linear teacher features."""
    return nn.Identity() if linear else nn.ReLU(inplace=True)


class BottleneckBlock(nn.Module):
    """ResNet bottleneck (1x1, middle, 1x1, shortcut) at the same, half or double resolution.

    The middle convolution is 3x3, 3x3 stride 2, or 2x2 stride-2 transposed; the shortcut accordingly the identity,
    1x1 stride 2, or 2x2 stride-2 transposed, with BatchNorm.
    """

    def __init__(
        self, channels_in: int, inner: int, channels_out: int, resample: Resample = "same", linear: bool = False
    ) -> None:
        super().__init__()
        self.reduce = conv_norm(channels_in, inner, 1)
        self.shortcut: nn.Module = nn.Identity()
        if resample == "up":
            self.middle = up_norm(inner, inner)
            self.shortcut = up_norm(channels_in, channels_out)
        elif resample == "down":
            self.middle = conv_norm(inner, inner, 3, stride=2)
            self.shortcut = conv_norm(channels_in, channels_out, 1, stride=2)
        else:
            self.middle = conv_norm(inner, inner, 3)
        self.expand = conv_norm(inner, channels_out, 1)
        self.relu = activation()
        self.output = activation(linear)

    def forward(self, x: Tensor) -> Tensor:
        y = self.relu(self.reduce(x))
        y = self.relu(self.middle(y))
        y = self.expand(y) + self.shortcut(x)
        result: Tensor = self.output(y)
        return result

    def onednn_form(self) -> nn.Module:
        inner = nn.Sequential(self.reduce, self.relu, self.middle, self.relu)
        return OneCallResidual(inner, nn.Sequential(self.expand, self.output), self.shortcut)
