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

    widths: of the decoder's stages, fine to coarse, where they are not the teacher's: a small teacher's levels are too
    narrow to decode in. A 1x1 convolution per level, the same for plain, amplified and fused maps, then leads to the
    teacher's channels; it is linear, so that fused stays the mix of the other two.
    """

    def __init__(
        self,
        channels: Sequence[int],
        others: int = 1,
        use_filter: bool = True,
        use_amplifier: bool = True,
        blocks: Sequence[int] = PAPER_BLOCKS,
        linear: bool = False,
        widths: Sequence[int] | None = None,
    ) -> None:
        super().__init__()
        has_filter, has_amplifier = use_filter and others > 0, use_amplifier and others > 0
        self.filter = CrossmodalFilter(channels, others, linear) if has_filter else None
        inner = tuple(widths or channels)
        unbounded = linear and widths is None  # heads give both signs by themselves
        self.amplifier = CrossmodalAmplifier(channels, inner, others, unbounded) if has_amplifier else None
        self.reads_others = has_filter or has_amplifier
        self.bottleneck = FusingBottleneck(channels, filtered=has_filter)
        self.decoder = Decoder(2 * channels[-1], inner, blocks, amplified=has_amplifier, linear=unbounded)
        self.heads = (
            nn.ModuleList(nn.Conv2d(width, outlet, 1) for width, outlet in zip(inner, channels, strict=True))
            if widths is not None
            else None
        )

    def forward(self, own_pyramid: Pyramid, others: Pyramid | None = None) -> StudentOutput:
        filtered = amplified = None
        if others is not None:
            filtered = self.filter(others) if self.filter is not None else None
            amplified = self.amplifier(others) if self.amplifier is not None else None
        code = self.bottleneck(own_pyramid, filtered)
        plain, fused = self.decoder(code, amplified)
        unmixed = self._as_teacher(plain)
        if amplified is None:
            return StudentOutput(filtered, None, unmixed, unmixed)
        return StudentOutput(filtered, self._as_teacher(amplified), unmixed, self._as_teacher(fused))

    def _as_teacher(self, pyramid: Pyramid) -> Pyramid:
        """The pyramid in the teacher's channels."""
        if self.heads is None:
            return pyramid
        return tuple(head(level) for head, level in zip(self.heads, pyramid, strict=True))
