"""A teacher as part of a method's module: images in, pyramid out; and which of a pyramid's cells are scored."""

from __future__ import annotations

from typing import cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from trd.config import BackboneConfig
from trd.engines.pytorch.frozen import frozen, images_at_once
from trd.teachers import Teacher, build_teacher
from trd.teachers.pyramid import Pyramid
from trd.types import PreparedSample

STRIDES = (4, 8, 16)
"""Pixels per cell of the levels of every teacher's pyramid."""


class FrozenTeacher(nn.Module):
    """(B, 3, h, w) images in [0, 1] -> pyramid, float32, also under autocast. Computed by a folded copy, in few images
    at a time on CPUs; the plain teacher is what is saved.

    load: False leaves the weights as initialised, for a state that brings them along.
    """

    input_mean: Tensor
    input_std: Tensor

    def __init__(self, config: BackboneConfig, load: bool = True) -> None:
        super().__init__()
        layers = None if config.layers == "auto" else config.layers
        self.teacher = build_teacher(config.name, config.weights if load else None, layers)
        facts = cast(Teacher, self.teacher)
        self.channels = tuple(facts.channels)
        self.register_buffer("input_mean", torch.tensor(facts.input_mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("input_std", torch.tensor(facts.input_std).view(1, 3, 1, 1), persistent=False)
        self._copies: list[nn.Module] = []  # a list: not to be registered, moved or saved

    def made_ready(self, device: torch.device, compiled: bool = False) -> FrozenTeacher:
        """Itself, on `device`, with its fast copy; to be called before the first image, when the weights are there."""
        self.to(device)
        copied = frozen(self.teacher, device, torch.float32, fuse=not compiled)
        if compiled:
            copied.compile()
        self._copies = [copied]
        return self

    @torch.no_grad()
    def forward(self, images: Tensor) -> Pyramid:
        (teacher,) = self._copies
        normalised = ((images - self.input_mean) / self.input_std).contiguous(memory_format=torch.channels_last)
        with torch.autocast(images.device.type, enabled=False):
            chunks = [teacher(chunk) for chunk in torch.split(normalised, images_at_once(normalised))]
        return tuple(torch.cat(level) for level in zip(*chunks, strict=True))

    def train(self, mode: bool = True) -> FrozenTeacher:
        super().train(mode)
        self.teacher.eval()
        return self


def on_one_grid(pyramid: Pyramid) -> Tensor:
    """(B, C, H, W) of all levels side by side on the finest one's cells, the coarser ones interpolated."""
    size = pyramid[0].shape[2:]
    rest = [F.interpolate(level, size=size, mode="bilinear", align_corners=False) for level in pyramid[1:]]
    return torch.cat([pyramid[0], *rest], dim=1)


def scored_cells(part: PreparedSample, size: tuple[int, int]) -> Tensor:
    """Indices (N,) of the cells of a grid of `size` with a pixel that is scored; of all where the part has no region.

    Any pixel: each scored cell of a part to come then has its like among those that are learned from.
    """
    if part.region is None or not part.region.any():
        return torch.arange(size[0] * size[1])
    region = torch.from_numpy(part.region.astype(np.float32))
    return F.adaptive_max_pool2d(region[None], size).flatten().nonzero().flatten()
