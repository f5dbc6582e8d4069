"""WideResNet50-2 up to layer3: the paper's teacher. Tensor names are torchvision's, so its weight file loads as is."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from trd.engines.pytorch.onednn import OneCallResidual
from trd.teachers.pyramid import Pyramid

STAGES = ((64, 3, 1), (128, 4, 2), (256, 6, 2))  # planes, blocks, stride of layer1, layer2, layer3
EXPANSION = 4
WIDTH = 2  # "wide": inner 1x1 and 3x3 convolutions twice as wide as ResNet-50's


def _conv(channels_in: int, channels_out: int, kernel: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(channels_in, channels_out, kernel, stride, padding=kernel // 2, bias=False)


class Bottleneck(nn.Module):
    def __init__(self, channels_in: int, planes: int, stride: int) -> None:
        super().__init__()
        inner, channels_out = planes * WIDTH, planes * EXPANSION
        self.conv1, self.bn1 = _conv(channels_in, inner, 1), nn.BatchNorm2d(inner)
        self.conv2, self.bn2 = _conv(inner, inner, 3, stride), nn.BatchNorm2d(inner)
        self.conv3, self.bn3 = _conv(inner, channels_out, 1), nn.BatchNorm2d(channels_out)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = None
        if stride != 1 or channels_in != channels_out:
            self.downsample = nn.Sequential(_conv(channels_in, channels_out, 1, stride), nn.BatchNorm2d(channels_out))

    def forward(self, x: Tensor) -> Tensor:
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y)) + (x if self.downsample is None else self.downsample(x))
        result: Tensor = self.relu(y)
        return result

    def onednn_form(self) -> nn.Module:
        inner = nn.Sequential(self.conv1, self.bn1, self.relu, self.conv2, self.bn2, self.relu)
        return OneCallResidual(inner, nn.Sequential(self.conv3, self.bn3, self.relu), self.downsample or nn.Identity())


class WideResNet50(nn.Module):
    """(B, 3, H, W) normalised image -> pyramid of 256, 512, 1024 channels at strides 4, 8, 16; non-negative."""

    channels = (256, 512, 1024)
    linear_outputs = False
    input_mean = (0.485, 0.456, 0.406)  # ImageNet, as torchvision's weights expect
    input_std = (0.229, 0.224, 0.225)

    def __init__(self) -> None:
        super().__init__()
        self.conv1: nn.Module = nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False)
        self.bn1: nn.Module = nn.BatchNorm2d(64)
        self.relu: nn.Module = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        channels = 64
        for index, (planes, count, stride) in enumerate(STAGES, start=1):
            blocks = [Bottleneck(channels, planes, stride)]
            channels = planes * EXPANSION
            blocks += [Bottleneck(channels, planes, 1) for _ in range(count - 1)]
            setattr(self, f"layer{index}", nn.Sequential(*blocks))

    def forward(self, image: Tensor) -> Pyramid:
        x = self.maxpool(self.relu(self.bn1(self.conv1(image))))
        levels = []
        for index in range(1, len(STAGES) + 1):
            x = getattr(self, f"layer{index}")(x)
            levels.append(x)
        return tuple(levels)

    def onednn_form(self) -> nn.Module:
        """Itself, a folded copy, with the stem as one stack."""
        self.conv1 = nn.Sequential(self.conv1, self.bn1, self.relu)
        self.bn1 = self.relu = nn.Identity()
        return self

    def load_published(self, weights: dict[str, torch.Tensor]) -> None:
        """Take over torchvision's state dict; layer4 and the classifier are left out.

        Raises KeyError naming the first tensor that is missing.
        """
        counters = ("num_batches_tracked",)  # older files lack them; nothing reads them in eval mode
        names = [name for name in self.state_dict() if name in weights or not name.endswith(counters)]
        self.load_state_dict({**self.state_dict(), **{name: weights[name] for name in names}})
