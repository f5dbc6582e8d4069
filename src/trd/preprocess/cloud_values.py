"""Clouds as sensors store them -> what was measured, with z along the viewing direction.

Missing points are (0, 0, 0) and finite here: the readers, and `Detector` for arrays, see to it. What else stands for
"not measured" differs from sensor to sensor (-9999, 65535, ...). Read as a distance it bends every plane and normal
near it, so a value that looks like it is refused until the recipe names it (`frame.missing`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from trd.data.sentinels import FEWEST, sentinel_in, spread, stride_of
from trd.errors import DataError
from trd.types import Sample

Floats = NDArray[np.float32]

EXACT = 1e-6  # relative: a stored number times its unit, rounded to float32
NEARLY_ALL = 0.99


def with_clean_clouds(sample: Sample, sources: Sequence[str], missing: Sequence[float]) -> Sample:
    """The sample with its clouds cleaned, the sample itself where nothing is to be done.

    sources: its clouds, (H, W, 3) float32. missing: values of z, in the clouds' unit, that stand for "not measured".
    Raises DataError for a cloud with a value that looks like it and is none of them, and for one of which nothing is
    left.
    """
    changed = {}
    for source in sources:
        cloud = np.asarray(sample.arrays[source], np.float32)
        cleaned = _without(cloud, missing) if missing else cloud
        seen = spread(cleaned[..., 2])
        if (sentinel := sentinel_in(seen)) is not None:
            raise DataError(
                f"sample {sample.id}, z of '{source}': {sentinel}. If it is, train with --set "
                f"frame.missing=[{sentinel.value}]; if the distance is real, leave these points out of the files"
            )
        if seen.size and (behind := float((seen < 0).mean())) > 0:
            if 1 - behind >= NEARLY_ALL:  # nothing is measured behind a sensor; height maps have more of both signs
                cleaned = np.where(cleaned[..., 2:] < 0, np.float32(0), cleaned)
            elif (signs := axis_signs(cleaned)) is not None:
                cleaned = cleaned * np.array(signs, np.float32)
        if cleaned is not cloud:
            if not cleaned[..., 2].any():
                raise DataError(f"sample {sample.id}: all points of '{source}' are missing (frame.missing)")
            changed[source] = cleaned
    return replace(sample, arrays={**sample.arrays, **changed}) if changed else sample


def axis_signs(cloud: Floats) -> tuple[int, int, int] | None:
    """What x, y and z of a cloud are multiplied with so that z grows away from the sensor; None where it does already,
    or where that is not certain.

    It is certain where every z is negative: such files are in axes that look backwards. x and y are then turned to grow
    with the columns and rows of the picture, as a camera shows them.
    """
    stride = stride_of(cloud)
    points = cloud[::stride, ::stride]
    valid = points[..., 2] != 0
    if valid.sum() < FEWEST or (points[..., 2][valid] < 0).mean() < NEARLY_ALL:
        return None
    rows, columns = np.nonzero(valid)
    x, y = points[valid][:, 0], points[valid][:, 1]
    return _direction(x, columns), _direction(y, rows), -1


def _direction(values: Floats, places: NDArray[np.int64]) -> int:
    """1 where the values grow with the places, else -1."""
    covariance = float(np.dot(places - places.mean(), values))
    return -1 if covariance < 0 else 1


def _without(cloud: Floats, missing: Sequence[float]) -> Floats:
    z = cloud[..., 2]
    absent = np.zeros(z.shape, bool)
    for value in missing:
        absent |= np.abs(z - np.float32(value)) <= EXACT * abs(value)
    if not absent.any():
        return cloud
    return np.where(absent[..., None], np.float32(0), cloud)
