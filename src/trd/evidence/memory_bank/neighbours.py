"""Nearest neighbours in a bank of features, and few features that cover many."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

QUERIES = 256  # at once; with a block of entries the products stay in a processor's cache
BLOCK = 1024  # entries of a product
GROUP = 16  # entries of which only the best product is kept, until the nearest is looked for among them
DIMENSIONS = 128  # in which the farthest point is sought
STARTS = 10
CANDIDATES = 256
ROWS = 16_384


class NearestNeighbours(nn.Module):
    """(N, C) queries -> (N,) L2 distance from the nearest of `entries` (M, C), float32.

    product: what the products that find the nearest are computed in; below float32 one that is nearly as near may be
    taken for it. The distance itself is that of the difference, in float32: a query that is an entry is at 0.

    Finding a least value with its place reads far slower than finding the value alone. So entries are looked at in
    groups: a group's best product first, then the exact distances of the best group's entries (half of the time).
    """

    def __init__(self, entries: Tensor, product: torch.dtype = torch.float32) -> None:
        super().__init__()
        self.register_buffer("entries", entries, persistent=False)
        self.product = product
        self._rows: tuple[Tensor, Tensor, Tensor] | None = None

    entries: Tensor

    def forward(self, queries: Tensor) -> Tensor:
        if torch.compiler.is_exporting():  # the number of queries is open then; what the entries give is a constant
            return _nearest(queries, *self._arranged(), self.product)
        if self._rows is None or self._rows[0].device != queries.device:
            self._rows = self._arranged()
        return torch.cat([_nearest(chunk, *self._rows, self.product) for chunk in torch.split(queries, QUERIES)])

    def _arranged(self) -> tuple[Tensor, Tensor, Tensor]:
        """Centre (C,): products of smaller numbers lose fewer digits. Entries (M', C), the last one repeated up to a
        whole block. Rows (M', C + 2) in `product`, whose products with (query, 1, 1) are greatest for the nearest."""
        centre = self.entries.mean(dim=0)
        left_over = -len(self.entries) % BLOCK
        entries = torch.cat([self.entries, self.entries[-1:].expand(left_over, -1)])
        centred = entries - centre
        halves = centred.square().sum(dim=1, keepdim=True) / 2
        high = halves.to(self.product)
        remainder = (halves - high.float()).to(self.product)  # what a number of few digits left out
        return centre, entries, torch.cat([centred.to(self.product), -high, -remainder], dim=1)


def _nearest(queries: Tensor, centre: Tensor, entries: Tensor, rows: Tensor, product: torch.dtype) -> Tensor:
    extended = F.pad(queries - centre, (0, 2), value=1.0).to(product)
    groups = BLOCK // GROUP
    best = torch.cat(
        [(extended @ block.T).view(-1, GROUP, groups).amax(dim=1) for block in torch.split(rows, BLOCK)], dim=1
    )
    group = best.argmax(dim=1)
    first = torch.div(group, groups, rounding_mode="floor") * BLOCK + group % groups
    members = first[:, None] + groups * torch.arange(GROUP, device=queries.device)
    differences = queries[:, None] - entries[members]
    return differences.square().sum(dim=2).amin(dim=1).sqrt()


def nearest_distances(queries: Tensor, entries: Tensor, product: torch.dtype = torch.float32) -> Tensor:
    """`NearestNeighbours`, for a single use."""
    distances: Tensor = NearestNeighbours(entries, product)(queries)
    return distances


def farthest_points(
    features: Tensor, count: int, generator: torch.Generator, known: Tensor | None = None
) -> Iterator[int]:
    """Indices of `count` rows of `features` (N, C) that cover the others: each one the farthest from those before it.

    An iterator, for `trd.progress.tracked`. Distances are those of a random projection to DIMENSIONS, where there are
    more. In the beginning every row counts as being at its distance from the nearest of the `known` (M, C), which are
    covered already; without them at its mean distance from STARTS random ones. generator: on the CPU, whatever the
    features' device. The indices are distinct; where N is below `count`, all of them.

    Row after row, this would read all features each time. But distances from the chosen only fall: while the farthest
    of a few CANDIDATES, in view of those chosen among them, is as far as the best of the other rows was before, it is
    the farthest of all. So many are chosen in one go, and one matrix product then counts them in.
    """
    projected = _projected(features if known is None else torch.cat([features, known]), generator)
    points = projected[: len(features)]
    squares = points.square().sum(dim=1)
    if known is None:
        starts = torch.randperm(len(points), generator=generator)[:STARTS].to(points.device)
        distances = [torch.cdist(rows, points[starts]).mean(dim=1) for rows in torch.split(points, ROWS)]
        nearest_squares = torch.cat(distances).square()
    else:
        nearest_squares = nearest_distances(points, projected[len(features) :]).square()
    missing = min(count, len(points))
    while missing:
        far, order = nearest_squares.topk(min(CANDIDATES + 1, len(nearest_squares)))
        rest = float(far[CANDIDATES]) if len(far) > CANDIDATES else 0.0
        candidates = order[:CANDIDATES]
        picked = _farthest_candidates(points[candidates], far[:CANDIDATES], rest, missing)
        yield from candidates[picked].tolist()
        missing -= len(picked)
        chosen = candidates[picked]
        for start in range(0, len(points), ROWS):
            rows = slice(start, start + ROWS)
            new_squares = squares[rows, None] + squares[chosen] - 2 * points[rows] @ points[chosen].T
            nearest_squares[rows] = torch.minimum(nearest_squares[rows], new_squares.amin(dim=1).clamp(min=0))
        nearest_squares[chosen] = -1  # never again


def _projected(features: Tensor, generator: torch.Generator) -> Tensor:
    channels = features.shape[1]
    if channels <= DIMENSIONS:
        return features - features.mean(dim=0)
    directions = torch.randn(channels, DIMENSIONS, generator=generator) / DIMENSIONS**0.5
    projected: Tensor = features @ directions.to(features.device)
    return projected - projected.mean(dim=0)


def _farthest_candidates(points: Tensor, squares: Tensor, rest: float, most: int) -> list[int]:
    """Which of `points` (K, D) are next, in order; squares (K,): from what was chosen before. At least one."""
    between = torch.cdist(points, points, compute_mode="donot_use_mm_for_euclid_dist").square().cpu().numpy()
    nearest_squares, picked = squares.cpu().numpy().copy(), list[int]()
    while len(picked) < most:
        place = int(nearest_squares.argmax())
        if nearest_squares[place] < rest or nearest_squares[place] < 0:
            break
        picked.append(place)
        nearest_squares = np.minimum(nearest_squares, between[place])
        nearest_squares[place] = -1
    return picked
