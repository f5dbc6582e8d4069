"""What a class's training samples looked like, in a few numbers, and a note for every sample that looks different."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trd.config import ImageInput, Recipe
from trd.preprocess.foreground import Mask
from trd.preprocess.image import full_scale_of
from trd.types import VIEW_SEPARATOR, Sample

STEP = 4  # every fourth pixel in each direction is looked at
MARGINS = {  # how far beyond the training's range is still usual: a share of its ends, and what is added to that
    "plane": (0.05, 0.0),
    "part_mm": (0.15, 0.0),
    "part_pixels": (0.15, 0.0),
    "measured": (0.0, 0.1),
    "brightness": (0.25, 0.02),
    "contrast": (0.25, 0.02),
    "tilt": (0.0, 2.0),
    "part_x_mm": (0.0, 5.0),
    "part_y_mm": (0.0, 5.0),
}
NOTED = ("plane", "part_mm", "part_pixels", "measured", "brightness")  # of single parts; the station watches all


@dataclass(frozen=True)
class TrainingRanges:
    """size: (height, width) of the training frames, pixels. values: measure -> its least and greatest value in them.

    Measures: "plane", metres from the camera to the support along the viewing axis; "part_mm" and "part_pixels", the
    diagonal of the part's bounding box; "part_x_mm" and "part_y_mm", the middle of that box in the camera's frame;
    "tilt", degrees between the support and the image plane; "measured", share of the cloud's points;
    "brightness SOURCE" and "contrast SOURCE", mean and standard deviation of an image's grey values, 0 to 1. Those that
    a recipe does not look at are missing, and so are those that an earlier version did not record.
    """

    size: tuple[int, int]
    values: Mapping[str, tuple[float, float]]

    @classmethod
    def of(cls, size: tuple[int, int], samples: Iterable[Mapping[str, float]]) -> TrainingRanges:
        """From the measures of each training sample."""
        values: dict[str, tuple[float, float]] = {}
        for measures in samples:
            for name, value in measures.items():
                low, high = values.get(name, (value, value))
                values[name] = min(low, value), max(high, value)
        return cls(size, values)

    def of_view(self, view: str, size: tuple[int, int]) -> TrainingRanges:
        """Of one view of parts with several, whose measures are called "brightness VIEW/SOURCE" and "plane VIEW"."""
        values = {}
        for name, ends in self.values.items():
            kind, _, place = name.partition(" ")
            owner, _, source = place.partition(VIEW_SEPARATOR)
            if owner == view:
                values[f"{kind} {source}".strip()] = ends
        return TrainingRanges(size, values)

    def notes(self, size: tuple[int, int], measures: Mapping[str, float]) -> tuple[str, ...]:
        """One for each measure in NOTED of a sample that lies outside the training's range widened by MARGINS."""
        notes = []
        if size != self.size:
            notes.append(f"frame of {size[0]} x {size[1]} pixels, training {self.size[0]} x {self.size[1]}")
        for name, value in measures.items():
            if name.partition(" ")[0] not in NOTED or (name == "part_pixels" and size != self.size):
                continue
            widened = self.widened(name)
            if widened is not None and not widened[0] <= value <= widened[1]:
                notes.append(_worded(name, value, *self.values[name]))
        return tuple(notes)

    def widened(self, name: str) -> tuple[float, float] | None:
        """The training's range of a measure and what is still usual beyond it; None where it was not recorded."""
        if name not in self.values or name.partition(" ")[0] not in MARGINS:
            return None
        (low, high), (share, added) = self.values[name], MARGINS[name.partition(" ")[0]]
        return low - share * abs(low) - added, high + share * abs(high) + added

    def described(self) -> dict[str, str]:
        """Label -> range in words, for people."""
        words = {
            "plane": ("support plane from the camera", 1.0, " m", 3),
            "part_mm": ("part, corner to corner", 1.0, " mm", 1),
            "part_pixels": ("part, corner to corner in pixels", 1.0, "", 0),
            "measured": ("points measured", 100.0, " %", 0),
            "brightness": ("mean brightness of", 1.0, "", 2),
            "contrast": ("contrast of", 1.0, "", 2),
            "tilt": ("support plane's tilt", 1.0, " degrees", 1),
            "part_x_mm": ("part's middle, x", 1.0, " mm", 1),
            "part_y_mm": ("part's middle, y", 1.0, " mm", 1),
        }
        texts = {}
        for name, (low, high) in self.values.items():
            kind, _, source = name.partition(" ")
            label, factor, unit, digits = words[kind]
            texts[f"{label} {source}".strip()] = f"{low * factor:.{digits}f} to {high * factor:.{digits}f}{unit}"
        return texts

    def to_json(self) -> dict[str, Any]:
        return {"size": list(self.size), "values": {name: list(ends) for name, ends in self.values.items()}}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> TrainingRanges:
        """Raises KeyError, TypeError or ValueError for what `to_json` does not write."""
        height, width = values["size"]
        ranges = {str(name): (float(low), float(high)) for name, (low, high) in values["values"].items()}
        return cls((int(height), int(width)), ranges)


def sample_measures(recipe: Recipe, sample: Sample) -> dict[str, float]:
    """Those of a sample that need neither plane nor part: its images' brightness and contrast, its first cloud's
    measured share."""
    measures = {}
    for source in dict.fromkeys(m.source for m in recipe.modalities.values() if isinstance(m, ImageInput)):
        image = sample.arrays[source]
        sampled = image[::STEP, ::STEP].astype(np.float32)
        full_scale, grey = full_scale_of(image), sampled.mean(axis=2) if sampled.ndim == 3 else sampled
        measures[f"brightness {source}"] = float(sampled.mean()) / full_scale
        measures[f"contrast {source}"] = float(grey.std()) / full_scale
    if recipe.point_cloud_sources:
        depth = sample.arrays[recipe.point_cloud_sources[0]][::STEP, ::STEP, 2]
        measures["measured"] = np.count_nonzero(depth != 0) / depth.size
    return measures


def plane_measures(plane: NDArray[np.float64]) -> dict[str, float]:
    """Of a support plane (a, b, c, d)."""
    tilt = math.degrees(math.acos(min(1.0, abs(float(plane[2])))))
    return {"plane": abs(float(plane[3] / plane[2])), "tilt": tilt}


def part_measures(xyz: NDArray[np.float32], part: Mask, origin: tuple[int, int] = (0, 0)) -> dict[str, float]:
    """Of the part's (H, W) pixels in a cloud of that size, metres; none where it is too small to tell.

    origin: row and column of the cloud's first point in the sensor's frame, of which every fourth pixel is looked at.
    """
    grid = tuple(slice(-first % STEP, None, STEP) for first in origin)
    measured, xyz = part[grid] & (xyz[grid][..., 2] != 0), xyz[grid]
    rows, columns = np.flatnonzero(measured.any(axis=1)), np.flatnonzero(measured.any(axis=0))
    if len(rows) < 2 or len(columns) < 2:
        return {}
    box = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    x, y = (xyz[..., axis][box][measured[box]] for axis in (0, 1))
    return {
        "part_mm": 1000 * math.hypot(x.max() - x.min(), y.max() - y.min()),
        "part_x_mm": 500 * float(x.min() + x.max()),
        "part_y_mm": 500 * float(y.min() + y.max()),
        "part_pixels": STEP * math.hypot(len(measured[box]), len(measured[box][0])),
    }


def _worded(name: str, value: float, low: float, high: float) -> str:
    kind, _, source = name.partition(" ")
    match kind:
        case "plane":
            digits = 2 if value >= 0.05 else 4
            return f"plane at {value:.{digits}f} m, training {low:.2f} to {high:.2f} m"
        case "part_mm":
            return f"part of {value:.0f} mm from corner to corner, training {low:.0f} to {high:.0f} mm"
        case "part_pixels":
            return f"part of {value:.0f} pixels from corner to corner, training {low:.0f} to {high:.0f}"
        case "measured":
            return f"{value:.0%} of the points measured, training {low:.0%} to {high:.0%}"
    return f"mean brightness of '{source}' {value:.2f}, training {low:.2f} to {high:.2f}"
