"""Images -> patch features -> distances from the nearest entries."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from trd.config import Recipe
from trd.evidence.memory_bank.config import section
from trd.evidence.memory_bank.neighbours import nearest_distances
from trd.teachers.frozen import STRIDES, FrozenTeacher, on_one_grid


class Bank(nn.Module):
    """Entries (M, C) of one modality, in deviations from the mean: both scalars, over all channels and cells.

    (Published code of two-sensor banks takes one sensor's mean with the other's deviation; here each has its own.)
    """

    entries: Tensor
    mean: Tensor
    std: Tensor

    def __init__(self, count: int, channels: int) -> None:
        super().__init__()
        self.register_buffer("entries", torch.zeros(count, channels))
        self.register_buffer("mean", torch.zeros(()))
        self.register_buffer("std", torch.ones(()))

    def forward(self, features: Tensor, product: torch.dtype) -> Tensor:
        """(B, C, h, w) to (B, h, w) distances."""
        channels, height, width = features.shape[1:]
        cells = features.permute(0, 2, 3, 1).reshape(-1, channels)
        return nearest_distances((cells - self.mean) / self.std, self.entries, product=product).view(-1, height, width)


class MemoryBanks(nn.Module):
    """modality -> (B, 3, h, w) images to modality -> (B, h, w) distances.

    counts: modality -> entries of its bank. load_teacher: False where a state brings the weights along. product: of
    what the search computes in.
    """

    def __init__(self, recipe: Recipe, counts: Mapping[str, int], load_teacher: bool = True) -> None:
        super().__init__()
        config = section(recipe)
        self.teacher = FrozenTeacher(config.teacher, load_teacher)
        self.levels = tuple(STRIDES.index(stride) for stride in config.strides)
        self.patch = config.patch
        self.product = torch.float32
        channels = sum(self.teacher.channels[level] for level in self.levels)
        self.banks = nn.ModuleDict({bank_name(name): Bank(counts[name], channels) for name in recipe.modalities})

    def features(self, images: Tensor) -> Tensor:
        """(B, 3, h, w) to (B, C, h / s, w / s) float32, s the finest of the levels' strides."""
        pyramid = self.teacher(images)
        chosen = [pyramid[level] for level in self.levels]
        padding = self.patch // 2
        means = [F.avg_pool2d(level, self.patch, 1, padding, count_include_pad=False) for level in chosen]
        return on_one_grid(tuple(means))

    def forward(self, images: Mapping[str, Tensor]) -> dict[str, Tensor]:
        maps = {}
        for name, stack in images.items():
            bank = cast(Bank, self.banks[bank_name(name)])
            distances = bank(self.features(stack), self.product)[:, None]
            size = stack.shape[2:]
            maps[name] = F.interpolate(distances, size=size, mode="bilinear", align_corners=False)[:, 0]
        return maps


def bank_name(modality: str) -> str:
    """In a ModuleDict, which keeps some names, such as "keys", for itself."""
    return f"of_{modality}"
