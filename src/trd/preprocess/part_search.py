"""The part of one sample: where it is in the maps, how large, and how it lies."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import cast

import cv2
import numpy as np
from numpy.typing import NDArray

from trd.config import ImageInput, PartConfig, Recipe
from trd.preprocess.facts import Plane, shape_of
from trd.preprocess.foreground import (
    PART_REACH,
    Mask,
    border_plane,
    filled_outline,
    height_over_plane,
    part_foreground,
)
from trd.preprocess.frame import Frame
from trd.preprocess.pose import PartView, Pose
from trd.preprocess.ranges import part_measures
from trd.preprocess.representations import around_window
from trd.preprocess.threads import Steps
from trd.types import Sample


@dataclass(frozen=True)
class Part:
    """region: of `Frame.map_size`, None for nowhere. measures: see `TrainingRanges`. pose: None where it is
    not known."""

    region: Mask | None = None
    measures: Mapping[str, float] = field(default_factory=dict)
    pose: Pose | None = None


@dataclass(frozen=True)
class PartSearch:
    """Finds parts in the first cloud, where somebody asks for one. region: whether it is scored. measures: whether it
    is measured then. The pose is asked for by regions that follow the part."""

    recipe: Recipe
    frame: Frame
    region: bool
    measures: bool

    def __call__(self, sample: Sample, planes: SupportPlanes) -> Part:
        """Pixels on and near the part and in gaps of its outline (holes, unmeasured points: they may be the defect).

        No region (the whole window) where this sample shows no support plane or no part inside the window. Measures
        where there are ranges to compare them with.
        """
        follows = self.recipe.frame.follows_part
        if not (self.region or follows):
            return Part()
        part, around, window = self._foreground(sample, planes)
        if part is None:
            return Part()
        pose = None
        if follows and self.frame.reference is not None:
            view = self._view(sample, part, around, planes)
            pose = None if view is None else self.frame.reference.pose(view)
        if not self.region:
            return Part(pose=pose)
        measures = {}
        if self.measures:
            rows, columns = self.frame.window_in(shape_of(sample))
            measures = part_measures(around, part, (rows.start - window[0].start, columns.start - window[1].start))
        height, width = self.frame.map_size
        small = cv2.resize(part[window].astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST)
        region = filled_outline(small.astype(np.uint8, copy=False)) if small.any() else None
        return Part(region, measures, pose)

    def view(self, sample: Sample, planes: SupportPlanes) -> PartView | None:
        """What a pose is told by; None where no part is seen."""
        part, around, _ = self._foreground(sample, planes)
        return None if part is None else self._view(sample, part, around, planes)

    def _foreground(
        self, sample: Sample, planes: SupportPlanes
    ) -> tuple[Mask | None, NDArray[np.float32], tuple[slice, slice]]:
        """The part's pixels in and around the window, None where there are none; the cloud there; and where the window
        is in it. Of the whole frame where a pose is asked for."""
        source = self.recipe.point_cloud_sources[0]
        xyz = cast(NDArray[np.float32], sample.arrays[source])
        reach = max(xyz.shape[:2]) if self.recipe.frame.follows_part else PART_REACH
        around, window = around_window(xyz, self.frame, reach)
        return part_foreground(around, planes.of(source), self.recipe.frame.part.clearance), around, window

    def _view(self, sample: Sample, part: Mask, xyz: NDArray[np.float32], planes: SupportPlanes) -> PartView | None:
        """part, xyz: of the whole frame, as `_foreground` gives them."""
        plane = planes.of(self.recipe.point_cloud_sources[0])
        assert plane is not None  # the part stands on it
        pictures = [m.source for m in self.recipe.modalities.values() if isinstance(m, ImageInput)]
        grey = None
        if pictures:
            picture = np.asarray(sample.arrays[pictures[0]], np.float32)
            grey = picture if picture.ndim == 2 else picture.mean(axis=2)
            grey = np.asarray(cv2.resize(grey, part.shape[::-1], interpolation=cv2.INTER_AREA), np.float32)
        return PartView.of(height_over_plane(xyz, plane), part, grey, self.frame.sensor[0] / part.shape[0])


class SupportPlanes:
    """The support planes of the clouds of one sample, fitted once each; of those without, the training set's."""

    def __init__(
        self,
        sample: Sample,
        config: PartConfig,
        typical: Mapping[str, Plane],
        sources: Iterable[str],
        steps: Steps,
    ) -> None:
        self._typical = typical
        self._fits = {
            source: steps.add(partial(border_plane, cast(NDArray[np.float32], sample.arrays[source]), config))
            for source in sources
        }

    def of(self, source: str) -> NDArray[np.float64] | None:
        """Waits for the step that fits it, which is begun earlier than the one that asks."""
        fitted = self._fits[source].result()
        return np.array(self._typical[source]) if fitted is None and source in self._typical else fitted

    def fitted(self, source: str) -> NDArray[np.float64] | None:
        """None also where none was asked for."""
        return self._fits[source].result() if source in self._fits else None

    def notes(self) -> tuple[str, ...]:
        borrowed = [source for source in self._fits if self.fitted(source) is None and source in self._typical]
        return tuple(f"no support plane found in '{source}': the training samples' stands in" for source in borrowed)
