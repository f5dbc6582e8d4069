"""Statistics of N parts without each of them in turn, from one pass over all.

Every function returns N + 1 rows: row i is without part i, the last is of all parts. One part alone has no others: its
row is its own.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def totals(values: Floats) -> Floats:
    """(N, ...) of each part -> (N + 1, ...) sums of the others'."""
    total = values.sum(axis=0)
    return np.concatenate([total - values if len(values) > 1 else values, total[None]])


def minima(values: Floats) -> Floats:
    """(N,) of each part -> (N + 1,) the least of the others'."""
    order = np.argsort(values, kind="stable")
    least = np.full(len(values) + 1, values[order[0]])
    if len(values) > 1:
        least[order[0]] = values[order[1]]
    return least


def medians(parts: Sequence[NDArray[np.float32]]) -> Floats:
    """1-D values of each part -> (N + 1,) exact medians of the others' values.

    Leaving one part out moves the median by at most that part's number of values in the order of all: only those
    between the two values `low` and `high` are sorted.
    """
    sizes = np.array([len(values) for values in parts])
    left_out = np.append(sizes if len(parts) > 1 else 0 * sizes, 0)
    remaining = sizes.sum() - left_out
    total, most = int(sizes.sum()), int(sizes.max())
    places = [max((total - most - 1) // 2, 0), min((total + most) // 2, total - 1)]
    low, high = np.partition(np.concatenate(parts), places)[places]
    up_to_low = np.array([np.count_nonzero(values <= low) for values in parts])
    between = [values[(values > low) & (values < high)] for values in parts]
    owner = np.repeat(np.arange(len(parts)), [len(values) for values in between])
    order = np.argsort(np.concatenate(between), kind="stable")
    owner, ordered = owner[order], np.concatenate(between)[order]
    result = np.empty(len(parts) + 1)
    for index, count in enumerate(remaining):
        without = ordered if left_out[index] == 0 else ordered[owner != index]
        before = up_to_low.sum() - (up_to_low[index] if left_out[index] else 0)
        middle = [(count - 1) // 2 - before, count // 2 - before]
        result[index] = np.mean([low if n < 0 else without[n] if n < len(without) else high for n in middle])
    return result
