"""The distances of one level as convolutions, for graphs: (B, C, h, w) student and teacher -> (B, 1, h, w)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from trd.evidence.reverse_distillation.maps.residuals import CONTEXT, TINY, LevelDistance, box, cosine


class ExportedCosine(nn.Module):
    """The paper's distance."""

    def forward(self, student: Tensor, teacher: Tensor) -> Tensor:
        return 1 - F.cosine_similarity(student, teacher, dim=1)[:, None]


class ExportedLevel(nn.Module):
    """`LevelDistance` with its products as 1 x 1 convolutions, so that nothing is moved to have the channels last."""

    whitening: Tensor
    whitened_mean: Tensor
    expectation: Tensor
    constant: Tensor
    log_range: Tensor
    scale: Tensor

    def __init__(self, level: LevelDistance) -> None:
        super().__init__()
        self.pool = level.pool
        weight = level.context_weight[:-1] / level.context_std[:, None]
        self.register_buffer("whitening", level.whitening.T[:, :, None, None].contiguous())
        self.register_buffer("whitened_mean", -(level.mean @ level.whitening))
        self.register_buffer("expectation", weight.T[:, :, None, None].contiguous())
        self.register_buffer("constant", level.context_weight[-1] - level.context_mean @ weight)
        self.register_buffer("log_range", level.log_range[:, None, :, None, None].clone())
        self.register_buffer("scale", level.scale[:, None, :, None, None].clone())

    def forward(self, student: Tensor, teacher: Tensor) -> Tensor:
        whitened = F.conv2d(box(teacher - student, self.pool), self.whitening, self.whitened_mean)
        departure = whitened.square().mean(dim=1, keepdim=True)
        direction = box(1 - cosine(student, teacher)[:, None], self.pool)
        distances = torch.cat([departure, direction], dim=1).clamp_min(TINY)
        mean, second = box(student, CONTEXT), box(student.square(), CONTEXT)
        context = torch.cat([mean, (second - mean.square()).clamp_min(0).sqrt()], dim=1)
        expected = F.conv2d(context, self.expectation, self.constant)
        expected = torch.minimum(torch.maximum(expected, self.log_range[0]), self.log_range[1])
        relative = distances * torch.exp(-expected)
        return ((relative - self.scale[0]) / self.scale[1]).sum(dim=1, keepdim=True)
