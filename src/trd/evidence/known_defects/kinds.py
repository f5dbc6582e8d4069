"""How far a part's defect lies from each taught one: the graph behind the suggestion of a kind. It makes no map."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from trd.evidence.known_defects.channels import Channels
from trd.evidence.known_defects.directions import Background
from trd.evidence.patch_statistics.features import STRIDE
from trd.evidence.state import fill
from trd.types import State

SHRINKAGE = (
    0.5  # of the whitening: with the directions' own, which separate more sharply, noise counts as much as kinds
)
CHANNELS, KINDS = "channels.", "kinds."
"""Before the names of the channels' tensors in the evidence's state, which the map's graph has too, and of this
graph's own."""


class KindDistances(nn.Module):
    """Maps of the other branches (B, h, w), images (B, 3, h, w), then the place (B, h, w), 1 where the defect lies ->
    (B, D): distances of the place from D taught defects, in deviations of good parts' cells.

    A place is the mean of its cells' channels, whitened by the good parts' scatter. Distances are sums of absolute
    differences: of defects of one kind single channels lie far apart, whose squares would hide the others. mean: (C,)
    of good parts' cells. whitening: (C, C). defects: (D, C), whitened.
    """

    mean: Tensor
    whitening: Tensor
    defects: Tensor

    def __init__(self, channels: Channels, defects: int) -> None:
        super().__init__()
        self.channels = channels
        self.register_buffer("mean", torch.zeros(channels.count))
        self.register_buffer("whitening", torch.zeros(channels.count, channels.count))
        self.register_buffer("defects", torch.zeros(defects, channels.count))

    @classmethod
    def of(
        cls, channels: Channels, background: Background, defects: Sequence[Tensor], shrinkage: float = SHRINKAGE
    ) -> KindDistances:
        """defects: mean channels (C,) of each taught defect's cells."""
        fitted = cls(channels, len(defects))
        fitted.mean.copy_(background.mean)
        fitted.whitening.copy_(torch.linalg.cholesky(background.precision_with(shrinkage)))
        fitted.defects.copy_(fitted.whitened(torch.stack(list(defects))))
        return fitted

    def forward(self, *values: Tensor) -> tuple[Tensor, ...]:
        *others, place = values
        shares = F.avg_pool2d(place[:, None], STRIDE)  # of each cell that lies in the place
        means = (self.channels(*others) * shares).sum(dim=(2, 3)) / shares.sum(dim=(2, 3))
        return (self.distances(means),)

    def distances(self, means: Tensor) -> Tensor:
        """(N, C) mean channels of places -> (N, D)."""
        return (self.whitened(means)[:, None] - self.defects).abs().sum(dim=2)

    def whitened(self, means: Tensor) -> Tensor:
        """(N, C) -> (N, C)."""
        return (means - self.mean) @ self.whitening


def state_of_kinds(distances: KindDistances) -> State:
    """Its own tensors; those of the channels are the map's."""
    return {KINDS + name: tensor.detach().numpy() for name, tensor in distances.named_buffers(recurse=False)}


def kind_distances(channels: Channels, state: State) -> KindDistances:
    """Of an evidence's state that has them. Raises CheckpointError where they do not fit the recipe."""
    own = {name.removeprefix(KINDS): value for name, value in state.items() if name.startswith(KINDS)}
    module = KindDistances(channels, len(own["defects"]))
    fill(module, own | {name: value for name, value in state.items() if name.startswith(CHANNELS)})
    return module
