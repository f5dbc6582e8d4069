"""What a part's pictures and cloud say about the sensors, in a few numbers: the station watches them."""

from __future__ import annotations

import math
from typing import cast

import numpy as np
from numpy.typing import NDArray

from trd.config import Recipe
from trd.preprocess.foreground import border_plane
from trd.preprocess.frame import Frame
from trd.preprocess.ranges import STEP, plane_measures, sample_measures
from trd.preprocess.view_frames import AnyFrame
from trd.types import PreparedSample, Sample

UNITS = {"plane": "m", "tilt": "deg", "part_mm": "mm", "part_x_mm": "mm", "part_y_mm": "mm"}
FEWEST_POINTS = 8  # of a part whose place is told

Floats = NDArray[np.float32]


def measures_of(recipe: Recipe, frame: AnyFrame, sample: Sample, prepared: PreparedSample) -> dict[str, float]:
    """Those of `TrainingRanges`, of any sample; what the preparation has measured already is taken from it.

    sample: as it was read, clouds in their own unit.
    """
    measures = {name: value for name, value in prepared.measures.items() if not name.startswith("part_pixels")}
    if not measures:  # of a detector without training ranges
        measures = sample_measures(recipe, sample)
    if recipe.point_cloud_sources and isinstance(frame, Frame):
        source, scale = recipe.point_cloud_sources[0], np.float32(frame.cloud_scale)
        cloud = cast(Floats, sample.arrays[source])
        plane = None
        needs_place = "part_mm" not in measures and prepared.region is not None
        if source in recipe.plane_sources and ("plane" not in measures or needs_place):
            # every second pixel each way: the plane of the border is the same, its fit a quarter of the work
            plane = border_plane(cloud[::2, ::2] * scale, recipe.frame.part)
        if plane is not None and "plane" not in measures:
            measures |= plane_measures(plane)
        if needs_place and prepared.region is not None:
            measures |= _place(cloud, prepared.region, plane, frame, recipe.frame.part.clearance)
    return {name: float(value) for name, value in measures.items() if math.isfinite(value)}


def _place(
    cloud: Floats, region: NDArray[np.bool_], plane: NDArray[np.float64] | None, frame: Frame, clearance: float
) -> dict[str, float]:
    """Middle and diagonal of what stands on the plane inside the scored region, on every fourth of its pixels."""
    rows, columns = frame.window_in((cloud.shape[0], cloud.shape[1]))
    height, width = region.shape
    at = np.argwhere(region[::STEP, ::STEP]) * STEP
    row = rows.start + ((at[:, 0] + 0.5) * (rows.stop - rows.start) / height).astype(int)
    column = columns.start + ((at[:, 1] + 0.5) * (columns.stop - columns.start) / width).astype(int)
    points = cloud[row, column] * np.float32(frame.cloud_scale)
    points = points[points[:, 2] != 0]
    if plane is not None:
        above = points @ plane[:3].astype(np.float32) + np.float32(plane[3])
        points = points[above > clearance]
    if len(points) < FEWEST_POINTS:
        return {}
    low, high = points[:, :2].min(axis=0), points[:, :2].max(axis=0)
    middle = 500 * (low + high)
    return {
        "part_mm": 1000 * math.hypot(*(high - low)),
        "part_x_mm": float(middle[0]),
        "part_y_mm": float(middle[1]),
    }
