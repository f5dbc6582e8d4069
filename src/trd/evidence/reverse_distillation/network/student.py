"""One modality's student: filter and amplifier read the other modalities, bottleneck and decoder rebuild this one."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from trd.evidence.reverse_distillation.network.bottleneck import FusingBottleneck
from trd.evidence.reverse_distillation.network.decoder import Decoder
from trd.evidence.reverse_distillation.network.outputs import StudentOutput
from trd.evidence.reverse_distillation.network.tuners import CrossmodalAmplifier, CrossmodalFilter
from trd.teachers.pyramid import Pyramid

PAPER_BLOCKS = (3, 4, 6)


class Student(nn.Module):
    """(own teacher pyramid, the others' concatenated pyramid) -> four pyramids shaped like the own one.

    channels: the teacher's, fine to coarse. others: how many other modalities there are; with 0 there are no tuners
    and this is plain reverse distillation. linear: the teacher's outputs take both signs, so the student's must too.
    The paper's student (193.4 M parameters) is channels (256, 512, 1024) with the defaults.
    """

    def __init__(
        self,
        channels: Sequence[int],
        others: int = 1,
        use_filter: bool = True,
        use_amplifier: bool = True,
        blocks: Sequence[int] = PAPER_BLOCKS,
        linear: bool = False,
    ) -> None:
        super().__init__()
        has_filter, has_amplifier = use_filter and others > 0, use_amplifier and others > 0
        self.filter = CrossmodalFilter(channels, others, linear) if has_filter else None
        self.amplifier = CrossmodalAmplifier(channels, others, linear) if has_amplifier else None
        self.reads_others = has_filter or has_amplifier
        self.bottleneck = FusingBottleneck(channels, filtered=has_filter)
        self.decoder = Decoder(channels, blocks, amplified=has_amplifier, linear=linear)

    def forward(self, own: Pyramid, others: Pyramid | None = None) -> StudentOutput:
        filtered = amplified = None
        if others is not None:
            filtered = self.filter(others) if self.filter is not None else None
            amplified = self.amplifier(others) if self.amplifier is not None else None
        code = self.bottleneck(own, filtered)
        plain, fused = self.decoder(code, amplified)
        return StudentOutput(filtered, amplified, plain, fused)
