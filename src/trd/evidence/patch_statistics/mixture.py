"""How unlike good parts is a place, given what kind of place it is: a mixture of Gaussians, and distances that are
relative to what other good parts show there.

A cell's Mahalanobis distance from its component says little by itself: a rim scatters, a plain face does not. So the
log distance is standardised per component, on good parts that the component was not fitted on.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

TINY = 1e-6
FARTHEST = 60.0  # robust deviations from the median at which a feature is cut
OUTER = (0.16, 0.5, 0.84)  # quantiles: the outer two lie two deviations apart under a Gaussian
CELLS = 60_000  # that a mixture is fitted on; more change nothing but the time
START_ROUNDS, ROUNDS = 8, 12  # of plain k-means, then of the Gaussians
PRIOR_CELLS = 30.0  # with which a component's covariance and scale lean on all components' together
RIDGE = 1e-3  # added to the variances of the standardised features
FOLDS = 2
CELLS_AT_ONCE = 800  # whitened by all components: 1.6 MB of float32, which stay in a core's cache


class PlaceMixture(nn.Module):
    """(B, F, h, w) features -> (B, h, w): log distance in deviations of good parts at such a place.

    K components over F features; what `fit_mixture` found is in the buffers. A cell is compared with its kind of place,
    which is a mean over the components, weighted by how likely the cell belongs to each. Nearly always that is
    one component; where two are about as likely, choosing one would let another runtime's rounding
    choose the other, and the distance would jump. Every cell is whitened by every component: a quadratic form for
    all of them would be one smaller product, but its large terms cancel.
    """

    centre: Tensor
    scale: Tensor
    whitening: Tensor
    whitened_mean: Tensor
    volume: Tensor
    usual: Tensor
    spread: Tensor

    def __init__(self, features: int, components: int) -> None:
        super().__init__()
        self.register_buffer("centre", torch.zeros(features))
        self.register_buffer("scale", torch.ones(features))  # 0 for a feature that never varies
        self.register_buffer("whitening", torch.zeros(components, features, features))
        self.register_buffer("whitened_mean", torch.zeros(components, features))
        self.register_buffer("volume", torch.zeros(components))  # log determinant of the covariance
        self.register_buffer("usual", torch.zeros(components))
        self.register_buffer("spread", torch.ones(components))

    def forward(self, features: Tensor) -> Tensor:
        count, _, height, width = features.shape
        cells = self.standardised(features.transpose(0, 1).flatten(1))
        if torch.compiler.is_exporting():  # the number of cells is open then
            relative = self._relative(self._squared_in_a_runtime(cells))
        else:
            relative = torch.cat([self._relative(self._squared(block)) for block in _blocks(cells)])
        return relative.view(count, height, width)

    def standardised(self, cells: Tensor) -> Tensor:
        """(F, N), each feature in robust deviations from its median."""
        return ((cells - self.centre[:, None]) * self.scale[:, None]).clamp(-FARTHEST, FARTHEST)

    def likeliest(self, cells: Tensor) -> Tensor:
        """(F, N) standardised -> (N,) index of the likeliest component."""
        return torch.cat([(self._squared(block) + self.volume[:, None]).min(dim=0).indices for block in _blocks(cells)])

    def distances(self, cells: Tensor) -> tuple[Tensor, Tensor]:
        """(F, N) standardised -> (N,) log Mahalanobis distance; (K, N) posterior of the components."""
        logs, posteriors = zip(*(self._distances(self._squared(block)) for block in _blocks(cells)), strict=True)
        return torch.cat(logs), torch.cat(posteriors, dim=1)

    def _distances(self, squared: Tensor) -> tuple[Tensor, Tensor]:
        posterior = torch.softmax((squared + self.volume[:, None]) / -2, dim=0)  # all components as frequent
        mean: Tensor = (posterior * squared).sum(dim=0)
        return mean.clamp_min(TINY).log() / 2, posterior

    def _relative(self, squared: Tensor) -> Tensor:
        """(K, N) squared Mahalanobis distances -> (N,) log distance, less what is usual there, in its deviations."""
        log_distance, posterior = self._distances(squared)
        usual, spread = torch.stack([self.usual, self.spread]) @ posterior
        relative: Tensor = (log_distance - usual) / spread
        return relative

    def _squared(self, cells: Tensor) -> Tensor:
        """(F, N) -> (K, N): squared Mahalanobis distance from every component."""
        rows, offset = self.whitening.flatten(0, 1), self.whitened_mean.flatten()[:, None]
        whitened = torch.addmm(offset, rows, cells, beta=-1)
        return whitened.view(*self.whitened_mean.shape, -1).square().sum(dim=1)

    def _squared_in_a_runtime(self, cells: Tensor) -> Tensor:
        """The same, one whitened feature of all components after the other: every product stays in a core's cache and
        the sum is taken on the way. In OpenVINO two fifths of the time of one product for all (one thread, AVX2)."""
        total = torch.zeros(())
        for rows, offset in zip(self.whitening.unbind(dim=1), self.whitened_mean.unbind(dim=1), strict=True):
            total = total + F.conv1d(cells[None], rows[:, :, None], -offset).square()
        return total[0]

    def set_gaussians(self, means: Tensor, covariances: Tensor) -> None:
        """(K, F) and (K, F, F) of standardised features, float64."""
        factors = torch.linalg.cholesky(covariances)
        eye = torch.eye(means.shape[1], dtype=means.dtype, device=means.device)
        whitening = torch.linalg.solve_triangular(factors, eye.expand_as(factors), upper=False)
        self.whitening.copy_(whitening)
        self.whitened_mean.copy_((whitening @ means[:, :, None])[:, :, 0])
        self.volume.copy_(2 * factors.diagonal(dim1=1, dim2=2).log().sum(dim=1))


def _blocks(cells: Tensor) -> tuple[Tensor, ...]:
    """(F, N) in pieces that a processor's cache holds; GPUs lose by launching more and smaller kernels."""
    return torch.split(cells, CELLS_AT_ONCE if cells.device.type == "cpu" else CELLS, dim=1)


def fit_mixture(parts: Sequence[Tensor], components: int, generator: torch.Generator) -> PlaceMixture:
    """parts: (N_p, F) features of each good part's scored cells. generator: on the CPU.

    The Gaussians are fitted on all parts; what distance is usual for each component is taken from mixtures of half of
    the parts, asked about the other half. Fewer cells than components make fewer of them useful, not an error.
    """
    device = parts[0].device
    cells = torch.cat(list(parts))  # a row each, until they are compared
    owner = torch.cat([torch.full((len(part),), index, device=device) for index, part in enumerate(parts)])
    mixture = PlaceMixture(cells.shape[1], components).to(device)
    sampled = _drawn(cells, CELLS, generator)
    low, median, high = torch.quantile(sampled, torch.tensor(OUTER, device=device), dim=0)
    mixture.centre.copy_(median)
    varies = high - low > TINY * (1 + mixture.centre.abs())
    mixture.scale.copy_(torch.where(varies, 2 / (high - low).clamp_min(TINY), 0.0))
    cells = mixture.standardised(cells.T).T.contiguous()
    _fit_components(mixture, _drawn(cells, CELLS, generator), generator)

    logs, posteriors = [], []
    for fold in range(FOLDS):
        in_fold = owner % FOLDS == fold
        fitted_cells, held_out_cells = cells[~in_fold], cells[in_fold]
        if not len(fitted_cells) or not len(held_out_cells):  # a single part: better its own cells than none
            fitted_cells = held_out_cells = cells
        fold_mixture = PlaceMixture(cells.shape[1], components).to(device)
        fitted_cells = _drawn(fitted_cells, CELLS // FOLDS, generator)
        _fit_components(fold_mixture, fitted_cells, generator, PRIOR_CELLS * len(fitted_cells) / min(len(cells), CELLS))
        held_out_cells = _drawn(held_out_cells, CELLS // FOLDS, generator)
        logs.append(fold_mixture.distances(held_out_cells.T)[0])
        posteriors.append(mixture.distances(held_out_cells.T)[1])
    _set_usual(mixture, torch.cat(logs), torch.cat(posteriors, dim=1))
    return mixture


def _fit_components(
    mixture: PlaceMixture, cells: Tensor, generator: torch.Generator, prior: float = PRIOR_CELLS
) -> None:
    """Hard expectation-maximisation from k-means; every cell belongs to its likeliest component.

    prior: in cells. A mixture of fewer parts leans on it as much as one of all, or its distances would be shorter.
    """
    components = len(mixture.volume)
    start = torch.randint(len(cells), (components,), generator=generator)
    if len(cells) >= components:
        start = torch.randperm(len(cells), generator=generator)[:components]
    means = cells[start.to(cells.device)]
    for _ in range(START_ROUNDS):
        component = torch.cdist(cells, means).argmin(dim=1)
        means, _ = _means(cells, component, means)
    for _ in range(ROUNDS):
        means, counts = _means(cells, component, means)
        _set_gaussians(mixture, cells, component, means, counts, prior)
        component = mixture.likeliest(cells.T)


def _means(cells: Tensor, component: Tensor, before: Tensor) -> tuple[Tensor, Tensor]:
    """(K, F) means and (K,) counts; a component without cells stays where it was."""
    counts = torch.bincount(component, minlength=len(before)).to(cells.dtype)
    sums = torch.zeros_like(before).index_add_(0, component, cells)
    return torch.where(counts[:, None] > 0, sums / counts.clamp_min(1)[:, None], before), counts


def _set_gaussians(
    mixture: PlaceMixture, cells: Tensor, component: Tensor, means: Tensor, counts: Tensor, prior: float
) -> None:
    order = component.argsort(stable=True)
    component_cells = torch.split((cells - means[component])[order], counts.long().tolist())
    scatter = torch.stack([cells_of_one.T @ cells_of_one for cells_of_one in component_cells])
    pooled = scatter.sum(dim=0) / len(cells)
    covariance = (scatter + prior * pooled) / (counts + prior)[:, None, None]
    ridge = RIDGE * torch.eye(cells.shape[1], dtype=torch.float64, device=cells.device)
    mixture.set_gaussians(means.double(), covariance.double() + ridge)


def _set_usual(mixture: PlaceMixture, logs: Tensor, posterior: Tensor) -> None:
    """Mean of the log distance per component, and deviation from these means; components with few cells lean on all.

    logs: (N,). posterior: (K, N).
    """
    counts = posterior.sum(dim=1) + PRIOR_CELLS
    mixture.usual.copy_((posterior @ logs + PRIOR_CELLS * logs.mean()) / counts)
    squares = (logs - mixture.usual @ posterior).square()
    variance = (posterior @ squares + PRIOR_CELLS * logs.var(correction=0)) / counts
    mixture.spread.copy_(variance.clamp_min(1e-4).sqrt())


def _drawn(cells: Tensor, most: int, generator: torch.Generator) -> Tensor:
    """At most so many rows, at random."""
    if len(cells) <= most:
        return cells
    return cells[torch.randperm(len(cells), generator=generator)[:most].to(cells.device)]
