"""Our residual distance: how unlike the residuals of good parts is this one, given what the student expects here?

The paper's cosine looks at direction only. Where a part is plain its features are small and noise alone turns them,
so the map fills with speckle; and all channels weigh alike, however well the student predicts them. Here two distances
are taken per modality and pyramid level, both over a few cells, since a defect is coherent over neighbours and noise is
not:
- "departure": the squared Mahalanobis distance of the averaged residual teacher - student to those of good parts;
- "direction": the paper's 1 - cos, averaged.
Each is divided by what is usual for such a place. Edges and seeds never fit well; the student's own features tell where
they are, so log distance is regressed (ridge) on their local mean and deviation. Then both are brought to mean 0 and
deviation 1 on good parts and added. They miss different defects (docs/archive.md).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from trd.evidence.reverse_distillation.maps.cosine import cosine
from trd.teachers.pyramid import Pyramid

SHRINKAGE = 0.03  # of the mean channel variance, mixed into the covariance so that it can be inverted
RIDGE = 0.01  # per sample, on standardised regressors
CONTEXT = 3  # cells: side of the square over which the student's features are summarised
TINY = 1e-6
HIGHEST = 3.0  # standard deviations of log distance that a place may be excused at most
DISTANCES = 2  # departure, direction
REGION_SHARE = 0.3  # of a cell's pixels that must be scored for the cell to count in the fit

Rebuilt = Callable[[], Iterable[tuple[Mapping[str, Pyramid], Mapping[str, Pyramid], Tensor | None]]]
"""Yields, over good parts, the students' and the teachers' pyramids by branch and the region (B, H, W) bool or None;
called once per pass."""


def box(features: Tensor, side: int) -> Tensor:
    """Mean over a square of cells, of those inside the map at its border; first down, then across: 2 n instead of n^2
    additions."""
    if side == 1:
        return features
    half = side // 2
    down = F.avg_pool2d(features, (side, 1), stride=1, padding=(half, 0), count_include_pad=False)
    return F.avg_pool2d(down, (1, side), stride=1, padding=(0, half), count_include_pad=False)


class LevelDistance(nn.Module):
    """One level of one modality. Buffers hold the fit: C channels, regressors 2C + 1."""

    mean: Tensor
    whitening: Tensor
    context_mean: Tensor
    context_std: Tensor
    context_weight: Tensor
    log_range: Tensor
    scale: Tensor

    def __init__(self, channels: int, pool: int) -> None:
        super().__init__()
        self.pool = pool
        self.register_buffer("mean", torch.zeros(channels))
        self.register_buffer("whitening", torch.eye(channels))
        self.register_buffer("context_mean", torch.zeros(2 * channels))
        self.register_buffer("context_std", torch.ones(2 * channels))
        self.register_buffer("context_weight", torch.zeros(2 * channels + 1, DISTANCES))
        self.register_buffer("log_range", torch.tensor([[-30.0] * DISTANCES, [30.0] * DISTANCES]))
        self.register_buffer("scale", torch.tensor([[0.0] * DISTANCES, [1.0] * DISTANCES]))  # mean, deviation

    def residual(self, student: Tensor, teacher: Tensor) -> Tensor:
        """(B, C, h, w) twice -> (B, C, h, w)."""
        return box(teacher - student, self.pool)

    def context(self, student: Tensor) -> Tensor:
        """(B, 2C, h, w): local mean and deviation of the student's features, which say what is expected here."""
        mean, second = box(student, CONTEXT), box(student.square(), CONTEXT)
        return torch.cat([mean, (second - mean.square()).clamp_min(0).sqrt()], dim=1)

    def distances(self, student: Tensor, teacher: Tensor) -> Tensor:
        """(B, 2, h, w): departure, the squared Mahalanobis distance per channel, about 1 on good parts; direction."""
        whitening, offset = self.whitening.T[:, :, None, None], -(self.mean @ self.whitening)
        whitened = F.conv2d(self.residual(student, teacher), whitening, offset)
        departure = whitened.square().mean(dim=1, keepdim=True)
        direction = box(1 - cosine(student, teacher), self.pool)
        return torch.cat([departure, direction], dim=1).clamp_min(TINY)

    def expected_log(self, context: Tensor) -> Tensor:
        """(B, 2C, h, w) -> (B, 2, h, w): log of the distances that good parts show at such a place."""
        weight = self.context_weight[:-1] / self.context_std[:, None]  # standardises in the product
        constant = self.context_weight[-1] - self.context_mean @ weight
        expected = F.conv2d(context, weight.T[:, :, None, None], constant)
        lowest, highest = self.log_range[:, None, :, None, None].unbind()
        return torch.minimum(torch.maximum(expected, lowest), highest)

    def relative(self, student: Tensor, teacher: Tensor) -> Tensor:
        """(B, 2, h, w): the distances divided by what is usual there."""
        return self.distances(student, teacher) * torch.exp(-self.expected_log(self.context(student)))

    def forward(self, student: Tensor, teacher: Tensor) -> Tensor:
        """(B, 1, h, w): sum of both, each of mean 0 and deviation 1 on good parts, so that levels can be added."""
        mean, deviation = self.scale[:, None, :, None, None].unbind()
        standardised: Tensor = (self.relative(student, teacher) - mean) / deviation
        return standardised.sum(dim=1, keepdim=True)


class ResidualDistance(nn.Module):
    """All levels of one branch."""

    def __init__(self, channels: Iterable[int], pool: Iterable[int]) -> None:
        super().__init__()
        self.levels = nn.ModuleList(LevelDistance(c, p) for c, p in zip(channels, pool, strict=True))


def fit_residual_distances(
    distances: nn.ModuleDict, training: Rebuilt, validation: Rebuilt, floor: float = -3.0
) -> None:
    """Fit all branches at once: steps 1-3 on the training parts, the levels' scale on the validation parts.

    floor: the least that may be expected of a place, in standard deviations of log distance from its mean. -3 holds
    quiet places to their own low noise; 1 excuses noisy places and amplifies no quiet ones.
    Three passes, each over moments only, so memory does not grow with the number of parts.
    """
    parts = {
        (name, index): cast(LevelDistance, level)
        for name, distance in distances.items()
        for index, level in enumerate(cast(ResidualDistance, distance).levels)
    }
    residuals = {key: _Moments() for key in parts}
    contexts = {key: _Moments() for key in parts}
    for key, level, student, teacher, inside in _cells(parts, training):
        residuals[key].add(rows(level.residual(student, teacher), inside))
        contexts[key].add(rows(level.context(student), inside))
    for key, level in parts.items():
        _set_whitening(level, residuals[key])
        level.context_mean.copy_(contexts[key].mean)
        level.context_std.copy_(contexts[key].covariance.diagonal().clamp_min(0).sqrt() + TINY)

    regressions = {key: _Moments() for key in parts}
    for key, level, student, teacher, inside in _cells(parts, training):
        context = (rows(level.context(student), inside) - level.context_mean) / level.context_std
        log_distances = rows(level.distances(student, teacher), inside).log()
        regressions[key].add(torch.cat([context, torch.ones_like(context[:, :1]), log_distances], dim=1))
    for key, level in parts.items():
        _set_regression(level, regressions[key], floor)

    relative = {key: _Moments() for key in parts}
    for key, level, student, teacher, inside in _cells(parts, validation):
        relative[key].add(rows(level.relative(student, teacher), inside))
    for key, level in parts.items():
        deviation = relative[key].covariance.diagonal().clamp_min(0).sqrt()
        level.scale.copy_(torch.stack([relative[key].mean, torch.where(deviation > 0, deviation, 1.0)]))


def rows(features: Tensor, inside: Tensor) -> Tensor:
    """(B, C, h, w) and (B, h, w) bool -> (N, C) of the cells inside."""
    return features.permute(0, 2, 3, 1)[inside]


class _Moments:
    """Sums that give the mean, covariance and raw second moments of vectors arriving in batches; float64."""

    def __init__(self) -> None:
        self.count = 0
        self.total: Tensor | float = 0.0
        self.products: Tensor | float = 0.0

    def add(self, vectors: Tensor) -> None:
        vectors = vectors.double()
        self.count += len(vectors)
        self.total = self.total + vectors.sum(dim=0)
        self.products = self.products + vectors.T @ vectors

    @property
    def mean(self) -> Tensor:
        return cast(Tensor, self.total) / max(self.count, 1)

    @property
    def covariance(self) -> Tensor:
        return cast(Tensor, self.products) / max(self.count, 1) - torch.outer(self.mean, self.mean)


def _cells(
    parts: dict[tuple[str, int], LevelDistance], observations: Rebuilt
) -> Iterable[tuple[tuple[str, int], LevelDistance, Tensor, Tensor, Tensor]]:
    for students, teachers, region in observations():
        for (name, index), level in parts.items():
            student, teacher = students[name][index].float(), teachers[name][index]
            if region is None:
                inside = torch.ones(student.shape[0], *student.shape[2:], dtype=torch.bool, device=student.device)
            else:
                scored = region.to(student.device, torch.float32)[:, None]
                share = F.adaptive_avg_pool2d(scored, (student.shape[2], student.shape[3]))
                inside = share[:, 0] > REGION_SHARE
            yield (name, index), level, student, teacher, inside


def _set_whitening(level: LevelDistance, moments: _Moments) -> None:
    covariance = moments.covariance
    average = covariance.diagonal().mean().clamp_min(TINY)
    eye = torch.eye(len(covariance), dtype=covariance.dtype, device=covariance.device)
    precision = torch.linalg.inv((1 - SHRINKAGE) * covariance + SHRINKAGE * average * eye)
    level.mean.copy_(moments.mean)
    level.whitening.copy_(torch.linalg.cholesky(precision))


def _set_regression(level: LevelDistance, moments: _Moments, floor: float) -> None:
    """Ridge regression of the log distances (last columns) on context and constant (the others)."""
    second = cast(Tensor, moments.products) / max(moments.count, 1)
    gram, target = second[:-DISTANCES, :-DISTANCES], second[:-DISTANCES, -DISTANCES:]
    ridge = RIDGE * torch.eye(len(gram), dtype=gram.dtype, device=gram.device)
    ridge[-1, -1] = 0  # the constant is not shrunk
    level.context_weight.copy_(torch.linalg.solve(gram + ridge, target))
    mean = moments.mean[-DISTANCES:]
    deviation = (second.diagonal()[-DISTANCES:] - mean.square()).clamp_min(0).sqrt()
    # A part unlike all training parts must not be excused by an extrapolated expectation.
    level.log_range.copy_(torch.stack([mean + floor * deviation, mean + HIGHEST * deviation]))
