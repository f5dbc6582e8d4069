"""The decoder: from the code back to a pyramid, each level mixed with the amplifier's (paper, section 3.2)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from trd.evidence.reverse_distillation.network.blocks import BottleneckBlock
from trd.teachers.pyramid import Pyramid


class AmplifiedMix(nn.Module):
    """F = a P + b A with (a, b) = softmax of two learned scalars, which start equal."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(2))

    def forward(self, plain: Tensor, amplified: Tensor) -> Tensor:
        share = self.weight.softmax(dim=0)
        return share[0] * plain + share[1] * amplified


class Decoder(nn.Module):
    """Code (B, 2C, H/32, W/32) -> plain and fused pyramids; one stage of blocks per level, coarse to fine.

    `inlet` is the code's width, `widths` those of the stages, fine to coarse; a stage's inner width is half of its
    own. `blocks` counts the blocks per stage, coarse to fine. A level's fused map feeds the next stage.
    """

    def __init__(
        self, inlet: int, widths: Sequence[int], blocks: Sequence[int], amplified: bool, linear: bool = False
    ) -> None:
        super().__init__()
        self.stages = nn.ModuleList()
        self.mixes = nn.ModuleList()
        for outlet, count in zip(reversed(widths), blocks, strict=True):
            inner = outlet // 2
            stage = [BottleneckBlock(inlet, inner, outlet, "up", linear and count == 1)]
            stage += [
                BottleneckBlock(outlet, inner, outlet, linear=linear and index == count - 1)
                for index in range(1, count)
            ]
            self.stages.append(nn.Sequential(*stage))
            if amplified:
                self.mixes.append(AmplifiedMix())
            inlet = outlet

    def forward(self, code: Tensor, amplified: Pyramid | None) -> tuple[Pyramid, Pyramid]:
        plain: list[Tensor] = []
        fused: list[Tensor] = []
        x = code
        for index, stage in enumerate(self.stages):
            x = stage(x)
            plain.insert(0, x)
            if amplified is not None:
                x = self.mixes[index](x, amplified[-1 - index])
            fused.insert(0, x)
        unmixed = tuple(plain)
        return unmixed, tuple(fused) if amplified is not None else unmixed
