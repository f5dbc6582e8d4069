"""What the network says. B batch, C channels, L pyramid levels (fine to coarse, strides 4, 8, 16)."""

from __future__ import annotations

from typing import NamedTuple

from trd.teachers.pyramid import Pyramid


class StudentOutput(NamedTuple):
    """The four pyramids of one student; `filtered` and `amplified` are None where that tuner is switched off.

    `fused` is the paper's word for the decoder's pyramid mixed with the amplifier's; a *fused map*, elsewhere, is the
    sum of the modalities' maps.
    """

    filtered: Pyramid | None
    amplified: Pyramid | None
    plain: Pyramid
    fused: Pyramid


class NetworkOutput(NamedTuple):
    """Per branch (modality), in the recipe's order: what the frozen teacher says and what the student rebuilds."""

    teachers: dict[str, Pyramid]
    students: dict[str, StudentOutput]
