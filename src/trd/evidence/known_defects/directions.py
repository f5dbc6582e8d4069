"""Cells of good parts and of labelled defects -> a direction for each kind of defect."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Directions(nn.Module):
    """(B, C, h, w) channels -> (B, h, w): the greatest response of K kinds; 1 is where good parts' worst places lie.

    weights: (K, C). offsets: (K,).
    """

    weights: Tensor
    offsets: Tensor

    def __init__(self, kinds: int, channels: int) -> None:
        super().__init__()
        self.register_buffer("weights", torch.zeros(kinds, channels))
        self.register_buffer("offsets", torch.zeros(kinds))

    def forward(self, channels: Tensor) -> Tensor:
        responses = F.conv2d(channels, self.weights[:, :, None, None], self.offsets)
        return responses.amax(dim=1)


@dataclass(frozen=True)
class Background:
    """What is usual: mean (C,) and regularised precision (C, C) of good parts' cells, float64, and the cells (N, C) of
    each part."""

    mean: Tensor
    precision: Tensor
    parts: Sequence[Tensor]

    @classmethod
    def of(cls, parts: Sequence[Tensor], shrinkage: float) -> Background:
        """parts: (N, C) channels of each good part's scored cells; a part counts by its cells."""
        count = sum(len(part) for part in parts)
        mean = sum((part.double().sum(dim=0) for part in parts), torch.zeros(1, dtype=torch.float64)) / count
        scatter = torch.zeros(len(mean), len(mean), dtype=torch.float64)
        for part in parts:
            centred = part.double() - mean
            scatter += centred.T @ centred
        eye = torch.eye(len(mean), dtype=torch.float64)
        return cls(mean, torch.linalg.inv(scatter / count + shrinkage * eye), parts)

    def directions(self, kinds: Mapping[str, Sequence[Tensor]]) -> Directions:
        """kinds: name -> mean channels (C,) of each labelled defect's cells; at least one of each.

        Every response is put into units of good parts, from the median to the mean of the parts' greatest ones: what
        the norm's fusion does to a branch.
        """
        means = torch.stack([torch.stack(list(means)).double().mean(dim=0) for means in kinds.values()])
        weights = (means - self.mean) @ self.precision
        responses = [part.double() @ weights.T for part in self.parts]
        median = torch.cat(responses).median(dim=0).values
        height = torch.stack([response.amax(dim=0) for response in responses]).mean(dim=0) - median
        height = torch.where(height > 0, height, 1.0)
        fitted = Directions(len(weights), len(self.mean))
        fitted.weights.copy_(weights / height[:, None])
        fitted.offsets.copy_(-median / height)
        return fitted
