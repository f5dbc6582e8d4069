"""What fitting needs of one training sample: a few numbers, so that a second run need not decode it (`cache`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from trd.config import Recipe
from trd.preprocess.cloud_values import axis_signs, with_clean_clouds
from trd.preprocess.foreground import BorderFit, fit_border, height_over_plane, part_foreground
from trd.preprocess.ranges import STEP, part_measures, plane_measures, sample_measures
from trd.types import Sample

# metres: who measures parts from farther away, parts that are larger, or more coarsely, has given millimetres
FARTHEST, WIDEST, COARSEST = 20.0, 5.0, 0.02
MILLIMETRES = 0.001

Plane = tuple[float, float, float, float]


@dataclass(frozen=True)
class SampleFacts:
    """shape: (height, width) of the frame. scale: metres per unit of the clouds, None where that is to be
    guessed and nothing was measured.

    planes: of each cloud in `Recipe.plane_sources`, None where there is none. box: top, left, bottom and right pixels
    (the latter two exclusive) of the part, None where none was found. depth: median distance of the points, metres.
    border: what the border of the part's cloud showed, without its plane. highest, lowest: metres above the plane,
    where no part was found over it; below it is negative. measures: see `TrainingRanges`. turned: whether a cloud's
    axes looked backwards (`cloud_values.axis_signs`).
    """

    id: str
    shape: tuple[int, int]
    scale: float | None
    planes: Mapping[str, Plane | None]
    box: tuple[int, int, int, int] | None
    depth: float
    border: BorderFit | None
    highest: float | None
    measures: Mapping[str, float]
    lowest: float | None = None
    turned: bool = False

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> SampleFacts:
        """Raises KeyError, TypeError or ValueError for what `to_json` does not write."""
        planes = {name: None if plane is None else _plane(plane) for name, plane in values["planes"].items()}
        box = None if values["box"] is None else tuple(values["box"])
        border = None if values["border"] is None else BorderFit(*values["border"])
        return cls(**{**values, "shape": tuple(values["shape"]), "planes": planes, "box": box, "border": border})


def sample_facts(recipe: Recipe, sample: Sample) -> SampleFacts:
    """Of a decoded training sample that has all of the recipe's sources."""
    clouds, config = recipe.point_cloud_sources, recipe.frame.part
    turned = any(axis_signs(cast(NDArray[np.float32], sample.arrays[source])) is not None for source in clouds)
    sample = with_clean_clouds(sample, clouds, recipe.frame.missing)
    first = cast(NDArray[np.float32], sample.arrays[clouds[0]]) if clouds else np.zeros((0, 0, 3), np.float32)
    depth, setting = _typical_depth(first), recipe.frame.cloud_scale
    scale = setting if setting != "auto" else _likely_scale(first, depth)
    sample = in_metres(sample, clouds, scale)
    measures = sample_measures(recipe, sample)
    fits = {s: fit_border(cast(NDArray[np.float32], sample.arrays[s]), config) for s in recipe.plane_sources}
    box, highest, lowest, border = None, None, None, None
    if recipe.looks_for_part and clouds:
        xyz, border = cast(NDArray[np.float32], sample.arrays[clouds[0]]), fits[clouds[0]]
        part = part_foreground(xyz, border.plane, config.clearance)
        if part is not None:
            box = _bounding_box(part)
            measures |= part_measures(xyz, part)
        elif border.plane is not None:  # without single points, as the part is sought
            heights = cv2.medianBlur(height_over_plane(xyz, border.plane), 5)
            highest, lowest = float(heights.max()), float(heights.min())
        border = border._replace(plane=None)
    planes = {source: None if fit.plane is None else _plane(fit.plane) for source, fit in fits.items()}
    if fits and (plane := next(iter(fits.values())).plane) is not None:
        measures |= plane_measures(plane)
    known_scale = None if setting == "auto" and not depth else scale
    return SampleFacts(
        sample.id, shape_of(sample), known_scale, planes, box, depth * scale, border, highest, measures, lowest, turned
    )


def in_metres(sample: Sample, clouds: tuple[str, ...], scale: float) -> Sample:
    """The sample with its clouds multiplied by `scale`, the sample itself for 1."""
    if scale == 1:
        return sample
    scaled = {name: cast(NDArray[np.float32], sample.arrays[name]) * np.float32(scale) for name in clouds}
    return replace(sample, arrays={**sample.arrays, **scaled})


def shape_of(sample: Sample) -> tuple[int, int]:
    """(height, width) of the sample's frame."""
    array = next(iter(sample.arrays.values()))
    return array.shape[0], array.shape[1]


def _plane(values: Any) -> Plane:
    a, b, c, d = (float(value) for value in values)
    return a, b, c, d


def _typical_depth(xyz: NDArray[np.float32]) -> float:
    """Median distance of the measured points along the viewing axis, in the cloud's unit; 0 where there are none."""
    z = xyz[::STEP, ::STEP, 2]
    z = z[z != 0]
    if not z.size:
        z = xyz[..., 2][xyz[..., 2] != 0]
    return float(np.median(np.abs(z))) if z.size else 0.0


def _likely_scale(xyz: NDArray[np.float32], depth: float) -> float:
    """Metres per unit: of a cloud that would be too far away, too wide or too coarse in metres, millimetres."""
    points = xyz[::STEP, ::STEP]
    valid = points[..., 2] != 0
    if not valid.any():
        return 1.0
    measured = points[valid][:, :2]
    width = float((np.quantile(measured, 0.99, axis=0) - np.quantile(measured, 0.01, axis=0)).max())
    both = valid[:, 1:] & valid[:, :-1]
    steps = np.abs(np.diff(points[..., 0], axis=1))[both]
    pitch = float(np.median(steps)) / STEP if len(steps) else 0.0
    return MILLIMETRES if depth > FARTHEST or width > WIDEST or pitch > COARSEST else 1.0


def _bounding_box(part: NDArray[np.bool_]) -> tuple[int, int, int, int]:
    rows, columns = np.flatnonzero(part.any(axis=1)), np.flatnonzero(part.any(axis=0))
    return int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1
