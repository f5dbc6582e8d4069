"""Each modality's features from those of the others, and how far they are from what is there."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from trd.config import Recipe
from trd.evidence.crossmodal_mapping.config import JOINT, section
from trd.teachers.frozen import FrozenTeacher, on_one_grid
from trd.teachers.pyramid import Pyramid


class CrossmodalMappings(nn.Module):
    """modality -> (B, 3, h, w) images to {"joint": (B, h, w) map}.

    load_teacher: False where a state brings the weights along.
    """

    def __init__(self, recipe: Recipe, load_teacher: bool = True) -> None:
        super().__init__()
        self.teacher = FrozenTeacher(section(recipe).teacher, load_teacher)
        self.modalities = tuple(recipe.modalities)
        channels = sum(self.teacher.channels)
        others = (len(self.modalities) - 1) * channels
        # In the modalities' order: a ModuleDict keeps some names, such as "keys", for itself.
        self.mappings = nn.ModuleList(_mapping(others, channels) for _ in self.modalities)
        self.dtype = torch.float32

    def forward(self, images: Mapping[str, Tensor]) -> dict[str, Tensor]:
        size = images[self.modalities[0]].shape[2:]
        cells = {}
        for name in self.modalities:
            joined = on_one_grid(self.teacher(images[name]))
            height, width = joined.shape[2:]
            cells[name] = joined.permute(0, 2, 3, 1)
        product = torch.ones((), device=joined.device)
        for squares in self.squared_distances(cells).values():
            product = product * squares.clamp_min(0).sqrt()
        map_ = F.interpolate(product.view(-1, 1, height, width), size=size, mode="bilinear", align_corners=False)
        return {JOINT: map_[:, 0]}

    def squared_distances(self, cells: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """modality -> (..., C) features to modality -> (...) float32: the squared distance between unit vectors of what
        was predicted and what is there, twice (1 - cosine)."""
        distances = {}
        for name, mapping in zip(self.modalities, self.mappings, strict=True):
            others = torch.cat([cells[other] for other in self.modalities if other != name], dim=-1)
            distances[name] = unit_distances(mapping(others.to(self.dtype)).float(), cells[name])
        return distances


def unit_distances(predicted: Tensor, features: Tensor) -> Tensor:
    """(..., C) twice to (...): the squared distance between their unit vectors."""
    return (F.normalize(predicted, dim=-1) - F.normalize(features, dim=-1)).square().sum(dim=-1)


def _mapping(channels_in: int, channels_out: int) -> nn.Sequential:
    inner = (channels_in + channels_out) // 2
    return nn.Sequential(
        nn.Linear(channels_in, inner), nn.GELU(), nn.Linear(inner, inner), nn.GELU(), nn.Linear(inner, channels_out)
    )


def upsampled(pyramids: Mapping[str, Pyramid]) -> dict[str, Tensor]:
    """modality -> (B, h * w, C) of all levels on the finest one's cells."""
    return {name: on_one_grid(pyramid).flatten(2).transpose(1, 2) for name, pyramid in pyramids.items()}
