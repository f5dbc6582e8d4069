"""Raw maps of the other branches and images -> what the directions are taken in, per cell. Stride 4, float32."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from trd.config import KNOWN_DEFECTS, Recipe
from trd.engines.graphs import IMAGE, MAP
from trd.evidence.patch_statistics.features import STRIDE, Gaussian, features_of

WIDER = (2.0, 5.0)  # cells: also smoothed so far, for defects that are wide and faint
FARTHEST = 8.0  # deviations of good parts' cells at which a channel is cut
TINY = 1e-6


class Channels(nn.Module):
    """Maps (B, h, w), then images (B, 3, h, w) -> (B, C, h / 4, w / 4) in deviations of good parts' cells.

    Of the other branches' maps the means over a cell; of every modality the patch statistics' features, as they are and
    smoothed. centre, scale: (P,) of the P plain channels, those that are not smoothed; a scale of 0 for one that never
    varies.
    """

    centre: Tensor
    scale: Tensor

    def __init__(self, recipe: Recipe) -> None:
        super().__init__()
        self.names = (
            *(MAP + branch for branch in recipe.branches if branch != KNOWN_DEFECTS),
            *(IMAGE + name for name in recipe.modalities),
        )
        self.features = nn.ModuleList(features_of(recipe.vector_maps.get(name, "none")) for name in recipe.modalities)
        self.smoothings = nn.ModuleList(Gaussian(sigma) for sigma in WIDER)
        features = sum(cast(int, module.channels) for module in self.features)
        self.maps = len(self.names) - len(self.features)
        plain = self.maps + features
        self.count = plain + len(WIDER) * features
        self.register_buffer("centre", torch.zeros(plain))
        self.register_buffer("scale", torch.ones(plain))

    def plain(self, *values: Tensor) -> Tensor:
        """(B, P, h / 4, w / 4), not standardised. values: as `names` has them."""
        cells = [F.avg_pool2d(raw_map[:, None], STRIDE) for raw_map in values[: self.maps]]
        features = [module(image) for module, image in zip(self.features, values[self.maps :], strict=True)]
        return torch.cat([*cells, *features], dim=1)

    def standardised(self, plain: Tensor) -> Tensor:
        """(B, P, h, w) plain -> (B, C, h, w)."""
        near = ((plain - self.centre[:, None, None]) * self.scale[:, None, None]).clamp(-FARTHEST, FARTHEST)
        features = near[:, self.maps :]
        return torch.cat([near, *(smoothing(features) for smoothing in self.smoothings)], dim=1)

    def forward(self, *values: Tensor) -> Tensor:
        return self.standardised(self.plain(*values))

    def fit(self, cells: Sequence[Tensor]) -> None:
        """cells: (N, P) plain channels of each good part's scored cells."""
        every = torch.cat(list(cells)).double()
        deviation = every.std(dim=0, correction=0)
        varies = deviation > TINY * (1 + every.mean(dim=0).abs())
        self.centre.copy_(every.mean(dim=0))
        self.scale.copy_(torch.where(varies, 1 / deviation.clamp_min(TINY), 0.0))
