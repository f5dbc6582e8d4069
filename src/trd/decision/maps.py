"""Raw maps -> standardised, smoothed maps, fused map and score (paper, section 3.4): the one formula of the decision.

It is written with functions that numpy and torch share, so that `Detector` and the exported graph compute the same
code. What differs is the smoothing, which is passed in.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Any, Generic, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from trd.decision.calibration import Calibration, MapStatistics
from trd.decision.fusion import RULES

Map = NDArray[np.float32]
Region = NDArray[np.bool_] | None
"""(h, w) True where a part is scored; None for everywhere."""
Limits = NDArray[np.float32] | None
"""(h, w) factor on the decision limit; None for 1 everywhere."""
Array = TypeVar("Array", bound=Any)

PAPER_SIGMA = 4.0
TRUNCATE = 4.0  # standard deviations at which the Gaussian ends, as scipy's default that the published numbers used


@dataclass(frozen=True)
class Decision(Generic[Array]):
    """maps: branch -> standardised and smoothed, (..., h, w). fused: of all, (..., h, w). score: its maximum, (...)."""

    maps: dict[str, Array]
    fused: Array
    score: Array


def in_turn(steps: Sequence[Callable[[], Array]]) -> list[Array]:
    """Their results."""
    return [step() for step in steps]


def decide(
    calibration: Calibration,
    raw: Mapping[str, Array],
    region: Any,
    smoothing: Callable[[Any], Any] | None = None,
    xp: Any = np,
    run: Callable[[Sequence[Callable[[], Array]]], list[Array]] = in_turn,
    limits: Any = None,
) -> Decision[Array]:
    """raw: branch -> (..., h, w). region: bool of that shape, None for everywhere. xp: numpy or torch.

    smoothing: the Gaussian of `calibration.sigma`, by default `smooth`. run: does the branches' steps, perhaps at once.
    limits: (h, w) factors on the decision limit, None for 1 everywhere. All maps are divided by them where the fused
    map is above 0, so that one threshold decides everywhere and the branches still make up the fused map. Below 0,
    where nothing is anomalous, a division would raise what it should lower.
    """
    gaussian = smoothing or partial(smooth, sigma=calibration.sigma)
    steps = [partial(_branch_map, calibration, name, raw[name], region, gaussian, xp) for name in raw]
    maps = dict(zip(raw, run(steps), strict=True))
    fused = RULES[calibration.fusion].fused(list(maps.values()), xp)
    if limits is not None:
        divisor = xp.where(fused > 0, limits, xp.ones_like(limits))
        maps, fused = {name: values / divisor for name, values in maps.items()}, fused / divisor
    return Decision(maps, fused, xp.amax(fused, (-2, -1)))


def _branch_map(
    calibration: Calibration, name: str, raw: Any, region: Any, smoothing: Callable[[Any], Array], xp: Any
) -> Array:
    """`branch_map`, of each view for itself."""
    if not calibration.views:
        return branch_map(raw, region, calibration.maps[name], smoothing, xp)
    parts = [
        branch_map(raw[rows], None if region is None else region[rows], units, smoothing, xp)
        for rows, units in zip(
            rows_of_views(raw.shape[-2], len(calibration.views)), calibration.units(name).values(), strict=True
        )
    ]
    joined: Array = xp.concatenate(parts, -2)
    return joined


def rows_of_views(height: int, count: int) -> list[tuple[Any, ...]]:
    """Index of each view's rows in (..., h, w) maps of all."""
    each = height // count
    return [(..., slice(each * number, each * (number + 1)), slice(None)) for number in range(count)]


def branch_map(raw: Any, region: Any, units: MapStatistics, smoothing: Callable[[Any], Array], xp: Any = np) -> Array:
    """In its units; the floor outside `region`; smoothed.

    The paper smooths the sum; smoothing is linear, so smoothing the parts gives the same sum and each branch's exact
    share of it. For the same reason z-scores and the fusion's units are one shift and one scale, before the smoothing.
    """
    values = (raw - units.shift) / units.scale
    if region is not None:
        values = xp.where(region, values, units.floor)
    return smoothing(values)


def smooth(maps: NDArray[np.float32], sigma: float = PAPER_SIGMA) -> NDArray[np.float32]:
    """Gaussian over the last two axes of (..., H, W) maps, sigma in pixels; cut at 4 sigma, edges reflected.

    Equals scipy's `gaussian_filter` to float32 rounding, in a sixth of its time.
    """
    if sigma == 0:
        return maps
    kernel = _kernel(sigma)
    flat = np.ascontiguousarray(maps, np.float32).reshape(-1, *maps.shape[-2:])
    smoothed = [
        cv2.sepFilter2D(single_map, cv2.CV_32F, kernel, kernel, borderType=cv2.BORDER_REFLECT) for single_map in flat
    ]
    return np.asarray(np.stack(smoothed).reshape(maps.shape), np.float32)


def smoothing_matrix(size: int, sigma: float) -> NDArray[np.float32]:
    """(size, size): what `smooth` does to a line of pixels, as a product."""
    lines = np.eye(size, dtype=np.float32)
    if sigma == 0:
        return lines
    kernel, alone = _kernel(sigma), np.ones(1, np.float32)
    smoothed = cv2.sepFilter2D(lines, cv2.CV_32F, alone, kernel, borderType=cv2.BORDER_REFLECT)
    return np.ascontiguousarray(smoothed, np.float32)


@cache
def _kernel(sigma: float) -> NDArray[np.float32]:
    reach = int(TRUNCATE * sigma + 0.5)
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    return np.asarray(weights / weights.sum(), np.float32)


def scored_pixels(values: Map, region: Region) -> Map:
    """1-D: the pixels of an (h, w) map that count."""
    return values.ravel() if region is None else values[region]
