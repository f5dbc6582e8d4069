"""The fusing bottleneck: a pyramid (and the filter's prediction of it) -> one compact code at stride 32."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from trd.evidence.reverse_distillation.network.blocks import BottleneckBlock, activation, conv_norm
from trd.teachers.pyramid import Pyramid

CODE_BLOCKS = 3


class FusingBottleneck(nn.Module):
    """Per level join (teacher, filtered), bring all levels to stride 16, join them, compress to (B, 2C, H/32, W/32).

    C is the teacher's coarsest width: 1024 for the paper, the width of every path and of the blocks inside.
    `filtered` says whether a filter's pyramid comes along, which doubles the channels in.
    """

    def __init__(self, channels: Sequence[int], filtered: bool) -> None:
        super().__init__()
        width = channels[-1]
        self.paths = nn.ModuleList()
        for level, teacher_width in enumerate(channels):
            inlet = teacher_width * (2 if filtered else 1)
            halvings = len(channels) - 1 - level
            layers: list[nn.Module] = []
            for stride in [2] * halvings or [1]:
                layers += [conv_norm(inlet, width, 3, stride), activation()]
                inlet = width
            self.paths.append(nn.Sequential(*layers))
        code = 2 * width
        self.code = nn.Sequential(
            BottleneckBlock(len(channels) * width, width, code, "down"),
            *(BottleneckBlock(code, width, code) for _ in range(CODE_BLOCKS - 1)),
        )

    def forward(self, teacher: Pyramid, filtered: Pyramid | None) -> Tensor:
        joined = teacher
        if filtered is not None:
            joined = tuple(torch.cat(pair, dim=1) for pair in zip(teacher, filtered, strict=True))
        at_stride_16 = [path(level) for path, level in zip(self.paths, joined, strict=True)]
        code: Tensor = self.code(torch.cat(at_stride_16, dim=1))
        return code
