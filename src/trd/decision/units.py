"""The units in which branches are compared: of all good parts, and of all but each of them.

"sum" (as published) adds the branches' z-scores. Its units are those in which the fused map has mean 0 and deviation 1
over the good parts' scored pixels: a score is a number of deviations.

"norm": the shift is the median of the good parts' smoothed map, the scale how far above it a good part's worst place
lies on average. So 1 is what good parts reach at their worst place in one branch. A branch whose good parts have a
heavy tail counts for less, and branches that agree support each other. Means of maxima: few parts have no tail from
which a quantile could be read.

Leaving each of N parts out is exact and costs no N passes. A smoothed map is smooth(raw where scored, 0 elsewhere) +
minimum * smooth(1 elsewhere). The sum's mean and deviation are a linear and a quadratic form of the sums and products
of these terms, which are added up per part. The norm's units move with the branch's own shift and scale, so that of
the others only the minimum matters, and that differs for one part only: the one that has it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from trd.decision.calibration import MapStatistics
from trd.decision.fusion import Fusion
from trd.decision.maps import Region, scored_pixels, smooth
from trd.statistics import leave_one_out

Floats = NDArray[np.float64]
ROUNDING = 1e-13  # of the mean square: a variance below is none


@dataclass(frozen=True)
class GoodMaps:
    """raw: branch -> (N, h, w) raw maps of N good parts. regions: N of scored pixels. sigma: of the smoothing.

    All results have N + 1 values: i is without part i, the last of all parts.
    """

    raw: Mapping[str, NDArray[np.float32]]
    regions: Sequence[Region]
    sigma: float

    @cached_property
    def counts(self) -> Floats:
        """Scored pixels."""
        sizes = [len(scored_pixels(self.first[index], region)) for index, region in enumerate(self.regions)]
        return leave_one_out.totals(np.array(sizes, np.float64))

    @cached_property
    def origins(self) -> dict[str, float]:
        """One scored value of each branch: sums of squares are of the distance from it, to keep their digits."""
        return {name: float(scored_pixels(maps[0], self.regions[0])[0]) for name, maps in self.raw.items()}

    @cached_property
    def plain(self) -> dict[str, tuple[Floats, Floats, Floats]]:
        """branch -> mean, deviation and minimum of the raw map over scored pixels."""
        return {name: self._plain(maps, self.origins[name]) for name, maps in self.raw.items()}

    def _plain(self, maps: NDArray[np.float32], origin: float) -> tuple[Floats, Floats, Floats]:
        rows = []
        for values, region in zip(maps, self.regions, strict=True):
            pixels = scored_pixels(values, region).astype(np.float64) - origin
            rows.append([pixels.sum(), np.square(pixels).sum(), pixels.min()])
        part_sums = np.array(rows)
        mean, square = (leave_one_out.totals(part_sums[:, place]) / self.counts for place in (0, 1))
        return mean + origin, deviation(mean, square), leave_one_out.minima(part_sums[:, 2]) + origin

    @property
    def first(self) -> NDArray[np.float32]:
        return next(iter(self.raw.values()))


def deviation(mean: Floats, square: Floats) -> Floats:
    """From means of values and of their squares; 1 where there is no spread."""
    variance = square - mean**2
    return np.sqrt(np.where(variance > ROUNDING * square, variance, 1.0))


def sum_units(good: GoodMaps) -> dict[str, tuple[Floats, Floats]]:
    """branch -> shift and scale."""
    size, names = len(good.regions), list(good.raw)
    products = []
    for index, region in enumerate(good.regions):
        outside = np.zeros(good.first.shape[1:], np.float32) if region is None else (~region).astype(np.float32)
        terms = [
            np.where(outside > 0, np.float32(0), good.raw[name][index] - np.float32(good.origins[name]))
            for name in names
        ]
        smoothed = [scored_pixels(smooth(term, good.sigma), region) for term in (*terms, outside)]
        stack = np.stack([*smoothed, np.ones_like(smoothed[0])]).astype(np.float64)
        products.append(stack @ stack.T)
    means = leave_one_out.totals(np.stack(products)) / good.counts[:, None, None]
    mean, std, least = (np.stack(rows, axis=1) for rows in zip(*(good.plain[name] for name in names), strict=True))
    origin = np.array([good.origins[name] for name in names])
    weights = np.concatenate(
        [
            1 / std,
            ((least - origin) / std).sum(axis=1, keepdims=True),
            ((origin - mean) / std).sum(axis=1, keepdims=True),
        ],
        axis=1,
    )
    assert weights.shape == (size + 1, len(names) + 2)
    middle = np.einsum("ek,ek->e", weights, means[:, :, -1])
    spread = deviation(middle, np.einsum("ek,ekl,el->e", weights, means, weights))
    return {
        name: (mean[:, place] + std[:, place] * middle / len(names), std[:, place] * spread)
        for place, name in enumerate(names)
    }


def norm_units(good: GoodMaps) -> dict[str, tuple[Floats, Floats]]:
    """branch -> shift and scale."""
    return {name: _levels(good, name) for name in good.raw}


def _levels(good: GoodMaps, name: str) -> tuple[Floats, Floats]:
    _, std, minimum = good.plain[name]
    median, height = np.empty_like(std), np.empty_like(std)
    for least in np.unique(minimum):
        smoothed, highest = [], []
        for values, region in zip(good.raw[name], good.regions, strict=True):
            smoothed_map = smooth(values if region is None else np.where(region, values, np.float32(least)), good.sigma)
            smoothed.append(scored_pixels(smoothed_map, region))
            highest.append(float(smoothed_map.max()))
        same_minimum = minimum == least
        parts = leave_one_out.totals(np.ones(len(highest)))
        median[same_minimum] = leave_one_out.medians(smoothed)[same_minimum]
        height[same_minimum] = (leave_one_out.totals(np.array(highest)) / parts)[same_minimum] - median[same_minimum]
    return median, np.where(height > 0, height, std)


UNITS: Mapping[Fusion, Callable[[GoodMaps], dict[str, tuple[Floats, Floats]]]] = {"sum": sum_units, "norm": norm_units}


def units_without_each(good: GoodMaps, fusion: Fusion) -> list[dict[str, MapStatistics]]:
    """N + 1 times branch -> statistics and units: without each part, and of all."""
    units = UNITS[fusion](good)
    columns = {name: zip(*good.plain[name], *units[name], strict=True) for name in good.raw}
    rows = {
        name: [MapStatistics(*map(float, row)) for row in branch_columns] for name, branch_columns in columns.items()
    }
    return [{name: branch_rows[index] for name, branch_rows in rows.items()} for index in range(len(good.regions) + 1)]
