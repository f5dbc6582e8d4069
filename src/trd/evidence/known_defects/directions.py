"""Cells of good parts and of labelled defects -> a direction for each kind of defect."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

STEEPNESS = 1.0
TRAINING = 2.0  # defective parts that the training parts count for


class Directions(nn.Module):
    """(B, C, h, w) channels -> (B, h, w): the greatest response of K kinds; 1 is where good parts' worst places lie.

    weights: (K, C). offsets: (K,). steepness: (1,), what lies above 1 is added once more by this factor: good parts are
    seldom there, so that the map counts for more beside the others without raising the threshold.
    """

    weights: Tensor
    offsets: Tensor
    steepness: Tensor

    def __init__(self, kinds: int, channels: int) -> None:
        super().__init__()
        self.register_buffer("weights", torch.zeros(kinds, channels))
        self.register_buffer("offsets", torch.zeros(kinds))
        self.register_buffer("steepness", torch.full((1,), STEEPNESS))

    def forward(self, channels: Tensor) -> Tensor:
        responses = F.conv2d(channels, self.weights[:, :, None, None], self.offsets)
        greatest = responses.amax(dim=1)
        return greatest + self.steepness * F.relu(greatest - 1)


@dataclass(frozen=True)
class GoodCells:
    """Channels (N, C) of a part's good cells. total (C,), products (C, C): sums over them, float64."""

    cells: Tensor
    total: Tensor
    products: Tensor

    @classmethod
    def of(cls, cells: Tensor) -> GoodCells:
        exact = cells.double()
        return cls(cells, exact.sum(dim=0), exact.T @ exact)


@dataclass(frozen=True)
class Background:
    """What is usual: mean (C,) and regularised precision (C, C) of good cells, float64, and the cells of each part.

    shrinkage: that was added to the channels' variances.
    """

    mean: Tensor
    precision: Tensor
    parts: Sequence[GoodCells]
    shrinkage: float

    @classmethod
    def of(cls, parts: Sequence[Tensor], shrinkage: float) -> Background:
        """parts: (N, C) channels of each good part's scored cells; a part counts by its cells."""
        good = [GoodCells.of(part) for part in parts]
        mean, products = _means(good)
        return cls(mean, _precision(mean, products, shrinkage), good, shrinkage)

    def beside(self, surroundings: Sequence[GoodCells]) -> Background:
        """With what lies around labelled defects: cells of parts that the detector was not trained on.

        The other branches' maps of training parts are lower than those of new parts, and scatter less. A direction from
        the training parts alone would lead to what is new at least as much as to what is defective. The mean is that of
        the surroundings, the scatter that of both: the training parts count for `TRAINING` defective ones.
        """
        around = [part for part in surroundings if len(part.cells)]
        if not around:
            return self
        share = len(around) / (len(around) + TRAINING)
        trained, new = _means(self.parts), _means(around)
        mean, products = ((1 - share) * old + share * young for old, young in zip(trained, new, strict=True))
        precision = _precision(mean, products, self.shrinkage)
        return Background(new[0], precision, [*self.parts, *around], self.shrinkage)

    def precision_with(self, shrinkage: float) -> Tensor:
        """(C, C), float64: as `precision`, with another shrinkage."""
        return _precision(*_means(self.parts), shrinkage)

    def directions(self, kinds: Mapping[str, Sequence[Tensor]]) -> Directions:
        """kinds: name -> mean channels (C,) of each labelled defect's cells; at least one of each.

        Every response is put into units of good parts, from the median to the mean of the parts' greatest ones: what
        the norm's fusion does to a branch.
        """
        means = torch.stack([torch.stack(list(means)).double().mean(dim=0) for means in kinds.values()])
        weights = (means - self.mean) @ self.precision
        responses = [part.cells.double() @ weights.T for part in self.parts]
        median = torch.cat(responses).median(dim=0).values
        height = torch.stack([response.amax(dim=0) for response in responses]).mean(dim=0) - median
        height = torch.where(height > 0, height, 1.0)
        fitted = Directions(len(weights), len(self.mean))
        fitted.weights.copy_(weights / height[:, None])
        fitted.offsets.copy_(-median / height)
        return fitted


def _means(parts: Sequence[GoodCells]) -> tuple[Tensor, Tensor]:
    """Of the cells, (C,), and of their products, (C, C)."""
    count = sum(len(part.cells) for part in parts)
    return (
        torch.stack([part.total for part in parts]).sum(dim=0) / count,
        torch.stack([part.products for part in parts]).sum(dim=0) / count,
    )


def _precision(mean: Tensor, products: Tensor, shrinkage: float) -> Tensor:
    scatter = products - torch.outer(mean, mean) + shrinkage * torch.eye(len(mean), dtype=torch.float64)
    inverse: Tensor = torch.linalg.inv(scatter)
    return inverse
