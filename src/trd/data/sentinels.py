"""Values that sensors write for "not measured": -9999, 65535, whatever stands often and far from all others."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

LOOKED_AT = 40_000  # values, evenly spread: enough to see what half a per cent of all have in common
SHARE = 0.005  # of the measured values with one and the same outermost one, from which on it is looked at
FEWEST = 100  # measured values that may tell anything
BEYOND = 3.0  # times the largest size of the other values


@dataclass(frozen=True)
class Sentinel:
    """value: as text that reads back as the same number. share: of the measured values that are it. low, high: between
    which nearly all others are."""

    value: str
    share: float
    low: float
    high: float

    def __str__(self) -> str:
        return (
            f"{self.share:.1%} of the points have {self.value}, far from all others ({self.low:.4g} to "
            f"{self.high:.4g}): this looks like a value for 'not measured'"
        )


def stride_of(pixels: NDArray[Any]) -> int:
    """Of an (H, W, ...) array's rows and columns, so that `LOOKED_AT` pixels or so are left."""
    return max(1, round(math.sqrt(pixels.shape[0] * pixels.shape[1] / LOOKED_AT)))


def spread(values: NDArray[Any]) -> NDArray[Any]:
    """(M,) measured values, neither 0 nor NaN nor infinite, evenly spread over an (N,) or (H, W) array."""
    if values.ndim == 1:
        few = values[:: max(1, len(values) // LOOKED_AT)]
    else:
        stride = stride_of(values)
        few = values[::stride, ::stride].ravel()
    return np.compress((few != 0) & np.isfinite(few), few)


def sentinel_in(values: NDArray[Any], from_sensor: bool = True, size: float = 0) -> Sentinel | None:
    """A value that many of (N,) measured ones share and that is far outside all others; None without one.

    from_sensor: the values grow from the sensor or towards it. Elsewhere, in a scanner's own frame, points of both
    signs are nothing special: a sign that no other has must be farther off than the others are apart. size: of what
    was measured, in the unit of the values; what is not beyond it may be a surface.
    """
    if len(values) < FEWEST:
        return None
    for extreme in (values.min(), values.max()):
        alike = values == extreme
        share = float(alike.mean())
        if share < SHARE or share == 1:
            continue
        low, high = (float(value) for value in np.quantile(values[~alike].astype(np.float64), (0.001, 0.999)))
        outermost = float(extreme)
        wrong_side = (outermost < 0 < low) or (outermost > 0 > high)
        if not from_sensor:
            wrong_side &= size == 0 and max(low - outermost, outermost - high) > high - low
        if wrong_side or abs(outermost) > BEYOND * max(abs(low), abs(high), size):
            return Sentinel(str(extreme), share, low, high)
    return None
