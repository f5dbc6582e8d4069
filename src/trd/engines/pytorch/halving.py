"""2 x 2 stride-2 convolutions, as matrix products where that is the faster form of the same.

Their windows do not overlap, so one product of all windows with the weight does it. On CPUs that wins where the weight
is large and the map is small (8 x 8 with 2048 channels): forward and backward together 17 against 50 ms in bf16,
batch 2, two cores; with more positions than channels the convolution is as fast or faster. In float32 it would win too
(33 against 78 ms), but there the convolution stays: another order of summation moves the worst-conditioned gradients of
the golden student by 5e-3, and float32 is for those who compare numbers.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def product_pays(x: Tensor, positions: int, channels: int) -> bool:
    """Whether the matrix product is used: on CPUs, the only place where it was measured, and in bf16."""
    if x.device.type != "cpu" or positions > channels:
        return False
    return x.dtype == torch.bfloat16 or torch.is_autocast_enabled("cpu")


class Halving(nn.Conv2d):
    """Conv2d(channels_in, channels_out, 2, stride=2, bias=False): halves the resolution."""

    def __init__(self, channels_in: int, channels_out: int, bias: bool = False) -> None:
        super().__init__(channels_in, channels_out, kernel_size=2, stride=2, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        batch, channels, height, width = x.shape
        if not product_pays(x, batch * height * width // 4, channels):
            return super().forward(x)
        windows = x.reshape(batch, channels, height // 2, 2, width // 2, 2).permute(0, 2, 4, 1, 3, 5)
        product = F.linear(windows.reshape(-1, 4 * channels), self.weight.flatten(1), self.bias)
        return product.view(batch, height // 2, width // 2, -1).permute(0, 3, 1, 2)


class Doubling(nn.ConvTranspose2d):
    """ConvTranspose2d(channels_in, channels_out, 2, stride=2, bias=False): doubles the resolution."""

    def __init__(self, channels_in: int, channels_out: int, bias: bool = False) -> None:
        super().__init__(channels_in, channels_out, kernel_size=2, stride=2, bias=bias)

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        batch, channels, height, width = x.shape
        if output_size is not None or not product_pays(x, batch * height * width, channels):
            return super().forward(x, output_size)
        cells = x.permute(0, 2, 3, 1).reshape(-1, channels)
        product = F.linear(cells, self.weight.flatten(1).T).view(batch, height, width, -1, 2, 2)
        doubled = product.permute(0, 3, 1, 4, 2, 5).reshape(batch, -1, 2 * height, 2 * width)
        return doubled if self.bias is None else doubled + self.bias.view(1, -1, 1, 1)
