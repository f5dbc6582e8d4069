"""Nearest neighbours in a bank of features, and few features that cover many."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

QUERIES = 1024  # at once; with as many entries the products stay in a processor's cache
ENTRIES = 1024
DIMENSIONS = 128  # in which the farthest point is sought
STARTS = 10
CANDIDATES = 256
ROWS = 16_384


def nearest_distances(
    queries: Tensor, bank: Tensor, chunk: int = QUERIES, product: torch.dtype = torch.float32
) -> Tensor:
    """(N,) L2 distance of each of `queries` (N, C) from the nearest of `bank` (M, C); float32, on one device.

    chunk: queries at once; memory is chunk x ENTRIES numbers, whatever N and M. product: what the matrix products are
    computed in that find the nearest entry; below float32 one that is nearly as near may be taken for it. The distance
    to what was found is that of the difference, in float32: a query that is in the bank is at 0.
    """
    exported = torch.compiler.is_exporting() or torch.onnx.is_in_onnx_export()  # the number of queries is open then
    blocks = [queries] if exported else torch.split(queries, chunk)
    found = [(part - bank[nearest_entries(part, bank, product)]).norm(dim=1) for part in blocks]
    return torch.cat(found)


def nearest_entries(queries: Tensor, bank: Tensor, product: torch.dtype = torch.float32) -> Tensor:
    """(N,) index of the entry of `bank` (M, C) that is nearest to each of `queries` (N, C).

    In blocks of the bank, for all queries at once: nothing but the bank's size decides what is done, which an export
    needs.
    """
    centre = bank.mean(dim=0)  # products of smaller numbers lose fewer digits
    centred, entries = (queries - centre).to(product), bank - centre
    halves = entries.square().sum(dim=1) / 2
    count = queries.shape[0]  # not len, which an export would take for a fixed number
    best = queries.new_full((count,), torch.inf)
    index = torch.zeros(count, dtype=torch.long, device=queries.device)
    for start in range(0, len(bank), ENTRIES):
        block, half = entries[start : start + ENTRIES].to(product), halves[start : start + ENTRIES]
        if product == torch.float32:
            costs = torch.addmm(half, centred, block.T, alpha=-1)  # half of the squared distance, less |query|^2
        else:
            costs = half - (centred @ block.T).float()
        least, place = costs.min(dim=1)
        index = torch.where(least < best, place + start, index)
        best = torch.minimum(best, least)
    return index


def farthest_points(features: Tensor, count: int, generator: torch.Generator) -> Iterator[int]:
    """Indices of `count` rows of `features` (N, C) that cover the others: each one the farthest from those before it.

    An iterator, for `trd.progress.tracked`. Distances are those of a random projection to DIMENSIONS, where there are
    more. In the beginning every row counts as being at its mean distance from STARTS random ones. generator: on the
    CPU, whatever the features' device. The indices are distinct; where N is below `count`, all of them.

    Row after row, this would read all features each time. But distances from the chosen only fall: while the farthest
    of a few CANDIDATES, in view of those chosen among them, is as far as the best of the other rows was before, it is
    the farthest of all. So many are chosen in one go, and one matrix product then counts them in.
    """
    points = _projected(features, generator)
    starts = torch.randperm(len(points), generator=generator)[:STARTS].to(points.device)
    squares = points.square().sum(dim=1)
    left = torch.cat([torch.cdist(rows, points[starts]).mean(dim=1) for rows in torch.split(points, ROWS)]).square()
    wanted = min(count, len(points))
    while wanted:
        far, order = left.topk(min(CANDIDATES + 1, len(left)))
        rest = float(far[CANDIDATES]) if len(far) > CANDIDATES else 0.0
        candidates = order[:CANDIDATES]
        picked = _farthest_candidates(points[candidates], far[:CANDIDATES], rest, wanted)
        yield from candidates[picked].tolist()
        wanted -= len(picked)
        chosen = candidates[picked]
        for start in range(0, len(points), ROWS):
            rows = slice(start, start + ROWS)
            apart = squares[rows, None] + squares[chosen] - 2 * points[rows] @ points[chosen].T
            left[rows] = torch.minimum(left[rows], apart.amin(dim=1).clamp(min=0))
        left[chosen] = -1  # never again


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
    left, picked = squares.cpu().numpy().copy(), list[int]()
    while len(picked) < most:
        place = int(left.argmax())
        if left[place] < rest or left[place] < 0:
            break
        picked.append(place)
        left = np.minimum(left, between[place])
        left[place] = -1
    return picked
