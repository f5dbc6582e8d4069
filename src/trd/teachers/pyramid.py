"""What a teacher gives, and a student rebuilds."""

from __future__ import annotations

from torch import Tensor

Pyramid = tuple[Tensor, ...]
"""L feature maps (B, C_l, H / stride_l, W / stride_l), fine to coarse: strides 4, 8, 16."""
