"""Pyramids -> anomaly maps (paper, section 3.4)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from trd.teachers.pyramid import Pyramid


def anomaly_map(student_pyramid: Pyramid, teacher_pyramid: Pyramid, size: tuple[int, int]) -> Tensor:
    """(B, H, W) map: sum over levels of 1 - cos along the channels, each level upsampled to `size` = (H, W).

    Bilinear with align_corners=True, as published. Range 0 to 2 L for L levels; larger is more anomalous.
    """
    levels = [
        F.interpolate(
            1 - F.cosine_similarity(student, teacher, dim=1)[:, None],
            size=size,
            mode="bilinear",
            align_corners=True,
        )
        for student, teacher in zip(student_pyramid, teacher_pyramid, strict=True)
    ]
    return torch.stack(levels).sum(dim=0)[:, 0]
