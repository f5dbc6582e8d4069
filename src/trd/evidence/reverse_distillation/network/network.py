"""N modalities, N branches: a student each, which rebuilds what the frozen teacher says of its modality.

The baseline with a fused teacher has one branch instead, whose teacher pyramid is all modalities' side by side.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from trd.config.reverse_distillation import JOINT
from trd.evidence.reverse_distillation.network.outputs import NetworkOutput
from trd.evidence.reverse_distillation.network.student import Student
from trd.teachers.pyramid import Pyramid


class FeatureScaler(nn.Module):
    """Brings every teacher channel of one modality to mean 0, deviation 1 over the training set.

    Without it a few channels of large mean or spread decide the cosine. Starts as the identity; filled
    before training, saved with the weights.
    """

    def __init__(self, channels: Sequence[int]) -> None:
        super().__init__()
        self.levels = len(channels)
        for level, width in enumerate(channels):
            self.register_buffer(f"mean_{level}", torch.zeros(1, width, 1, 1))
            self.register_buffer(f"std_{level}", torch.ones(1, width, 1, 1))

    def set_level(self, level: int, mean: Tensor, std: Tensor) -> None:
        """mean, std: (C_l,) over the training set; a channel that never varies is left unscaled."""
        getattr(self, f"mean_{level}").copy_(mean.view(1, -1, 1, 1))
        getattr(self, f"std_{level}").copy_(torch.where(std > 1e-6, std, torch.ones_like(std)).view(1, -1, 1, 1))

    def forward(self, pyramid: Pyramid) -> Pyramid:
        return tuple(
            (features - getattr(self, f"mean_{level}")) / getattr(self, f"std_{level}")
            for level, features in enumerate(pyramid)
        )


def side_by_side(pyramids: Sequence[Pyramid]) -> Pyramid:
    """Of several pyramids, every level's channels concatenated."""
    if len(pyramids) == 1:
        return pyramids[0]
    return tuple(torch.cat(level, dim=1) for level in zip(*pyramids, strict=True))


class TunedReverseDistillation(nn.Module):
    """modality -> the frozen teacher's pyramid, as it gives it -> teacher and student pyramids by branch (figure 2)."""

    def __init__(
        self,
        students: Mapping[str, Student],
        modalities: Sequence[str] | None = None,
        scalers: Mapping[str, FeatureScaler] | None = None,
    ) -> None:
        super().__init__()
        self.branches = tuple(students)
        self.modalities = tuple(modalities or students)
        self.students = nn.ModuleDict(students)
        self.scalers = nn.ModuleDict(scalers or {})

    def forward(self, teachers: Mapping[str, Pyramid]) -> NetworkOutput:
        return self.rebuild(self.scaled(teachers))

    @torch.no_grad()
    def scaled(self, teachers: Mapping[str, Pyramid]) -> dict[str, Pyramid]:
        """Standardised where the recipe says so."""
        return {n: self.scalers[n](pyramid) if n in self.scalers else pyramid for n, pyramid in teachers.items()}

    def rebuild(self, scaled: Mapping[str, Pyramid]) -> NetworkOutput:
        """What the students make of the teachers' pyramids, which are scaled already."""
        teachers = self.branch_pyramids(scaled)
        students = {
            name: self.students[name](teachers[name], self.other_pyramids(teachers, name)) for name in self.branches
        }
        return NetworkOutput(teachers, students)

    def branch_pyramids(self, scaled: Mapping[str, Pyramid]) -> dict[str, Pyramid]:
        """What each branch has to rebuild: its modality's pyramid, or all of them side by side."""
        if self.branches == self.modalities:
            return {name: scaled[name] for name in self.branches}
        return {JOINT: side_by_side([scaled[name] for name in self.modalities])}

    def other_pyramids(self, teachers: Mapping[str, Pyramid], name: str) -> Pyramid | None:
        """What the tuners of `name` read: the other modalities' pyramids, concatenated along the channels."""
        others = [teachers[other] for other in self.branches if other != name]
        return side_by_side(others) if others else None
