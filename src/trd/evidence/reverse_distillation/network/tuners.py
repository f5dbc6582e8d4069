"""The two crossmodal tuners (paper, section 3.2): from the OTHER modalities' teacher pyramid, predict this one's.

Both keep levels apart: one stack of convolutions per pyramid level. With more than one other modality their pyramids
come concatenated along the channels (`others` times as many).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from torch import nn

from trd.evidence.reverse_distillation.network.blocks import activation, conv_norm, up_norm
from trd.teachers.pyramid import Pyramid


class CrossmodalFilter(nn.Module):
    """Through a narrow bottleneck at stride 32, so that only what is normal passes.

    2 x 2 stride-2 convolutions down to stride 32, transposed ones back. The width at a stride is the teacher's at
    that stride, and twice the coarsest at stride 32: 256 > 512 > 1024 > 2048 for WideResNet50-2.
    """

    def __init__(self, channels: Sequence[int], others: int = 1, linear: bool = False) -> None:
        super().__init__()
        widths = [*channels, 2 * channels[-1]]
        self.levels = nn.ModuleList(
            self._stack(widths[level:], others * widths[level], linear) for level in range(len(channels))
        )

    @staticmethod
    def _stack(widths: Sequence[int], channels_in: int, linear: bool) -> nn.Sequential:
        layers: list[nn.Module] = []
        for inlet, outlet in zip([channels_in, *widths[1:-1]], widths[1:], strict=True):
            layers += [conv_norm(inlet, outlet, kernel=2, stride=2), activation()]
        upward = widths[::-1]
        for inlet, outlet in pairwise(upward):
            layers += [up_norm(inlet, outlet), activation()]
        layers[-1] = activation(linear)
        return nn.Sequential(*layers)

    def forward(self, others: Pyramid) -> Pyramid:
        return tuple(stack(level) for stack, level in zip(self.levels, others, strict=True))


class CrossmodalAmplifier(nn.Module):
    """At full resolution, so that a defect seen by another modality disturbs the prediction: 3x3, 1x1 wide, 1x1.

    channels: the teacher's; widths: of what is predicted, the decoder's.
    """

    def __init__(self, channels: Sequence[int], widths: Sequence[int], others: int = 1, linear: bool = False) -> None:
        super().__init__()
        self.levels = nn.ModuleList(
            nn.Sequential(
                conv_norm(others * channels_in, width, 3),
                activation(),
                conv_norm(width, 2 * width, 1),
                activation(),
                conv_norm(2 * width, width, 1),
                activation(linear),
            )
            for channels_in, width in zip(channels, widths, strict=True)
        )

    def forward(self, others: Pyramid) -> Pyramid:
        return tuple(stack(level) for stack, level in zip(self.levels, others, strict=True))
