"""Places that a user names: where defects count, and where the decision limit is another one; at the maps' size.

Polygons and pictures are in pixels of the training frames, those that follow the part in the frame of the reference
part. Pictures become outlines, with holes, so that both are drawn alike wherever the part lies.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from trd.config import FrameConfig, RegionConfig
from trd.config.pictures import png_of
from trd.data.images import png_mask
from trd.errors import DataError
from trd.preprocess.frame import Frame
from trd.preprocess.pose import Pose

SHIFT = 4  # binary digits behind the point of the corners that OpenCV draws
FARTHEST = 2**26  # of these corners: OpenCV's numbers end at 2 ** 31

Mask = NDArray[np.bool_]
Curve = NDArray[np.float64]
"""(N, 2) corners, x and y in pixels of the training frames."""
Shape = tuple[tuple[Curve, ...], ...]
"""Groups of curves, united. In a group is what its curves enclose an odd number of times: the holes of a picture are
not. What a curve runs through is in it."""


@dataclass(frozen=True)
class Places:
    """Of one sample, at the maps' size. area: (h, w) where defects count, None for everywhere. named: (h, w) number
    of the region in `frame.regions` that counts, from 1, 0 for none; None where none are named."""

    area: Mask | None
    named: NDArray[np.uint8] | None


class Regions:
    """What the section `[frame]` of a recipe says of places."""

    def __init__(self, config: FrameConfig, frame: Frame) -> None:
        """Raises DataError for a picture of another size than the training frames', and for a region that lies outside
        of the window; of regions that follow the part, where that lies as in its reference."""
        self.config = config
        self.frame = frame
        self._size = frame.map_size
        self._inspect = self._shape(config.inspect, config.inspect_picture, "frame.inspect_picture")
        self._ignore = self._shape(config.ignore, config.ignore_picture, "frame.ignore_picture")
        self._named = [
            (region, self._shape(region.polygons, region.picture, f"the picture of the region '{region.name}'"))
            for region in config.regions
        ]
        for region, shape in self._named:
            if not self._filled(shape, None).any():
                raise DataError(
                    f"the region '{region.name}' of frame.regions lies outside of the window, {self._window}: its "
                    "corners are [x, y] in pixels of the training frames"
                )
        self._fixed = self._drawn(None, follows=True)
        if self._fixed.area is not None and not self._fixed.area.any():
            raise DataError(
                "frame.inspect, frame.ignore and frame.regions leave nothing to inspect in the window, "
                f"{self._window}: polygons are [[x, y], ...] in pixels of the training frames"
            )

    def places(self, pose: Pose | None) -> Places:
        """pose: of the part; None where it is not known: regions that follow the part are then left out."""
        if not self.config.follows_part:
            return self._fixed
        return self._drawn(pose, follows=pose is not None)

    def written(self) -> Iterator[tuple[str, Mask]]:
        """Of everything that is said: what it is called, and (h, w) what it covers where it was written."""
        if self._inspect:
            yield "frame.inspect", self._filled(self._inspect, None)
        if self._ignore:
            yield "frame.ignore", self._filled(self._ignore, None)
        for region, shape in self._named:
            yield f"region {region.name}", self._filled(shape, None)

    def _drawn(self, pose: Pose | None, follows: bool) -> Places:
        """follows: whether regions that follow the part are drawn, with no pose where they were written."""
        placed = [
            (number, region, self._filled(shape, pose if region.follows == "part" else None))
            for number, (region, shape) in enumerate(self._named, 1)
            if follows or region.follows == "frame"
        ]
        inspect = [mask for _, region, mask in placed if region.limit == "inspect"]
        inspect += [self._filled(self._inspect, None)] if self._inspect else []
        ignore = [mask for _, region, mask in placed if region.limit == "ignore"]
        ignore += [self._filled(self._ignore, None)] if self._ignore else []
        area = None
        if inspect or ignore:
            area = np.any(inspect, axis=0) if inspect else np.ones(self._size, bool)
            area = np.asarray(area & ~np.any(ignore, axis=0) if ignore else area)
        if not self._named:
            return Places(area, None)
        named = np.zeros(self._size, np.uint8)
        for number, _, mask in placed:
            named[mask] = number
        return Places(area, named)

    def _shape(self, polygons: Sequence[Sequence[Sequence[float]]], picture: str, what: str) -> Shape:
        groups: list[tuple[Curve, ...]] = [(np.array(polygon, np.float64),) for polygon in polygons]
        if picture:
            mask = png_mask(png_of(picture), what)
            if mask.shape != self.frame.sensor:
                (height, width), (rows, columns) = mask.shape, self.frame.sensor
                raise DataError(
                    f"{what} has {width} x {height} pixels, the training frames have {columns} x {rows} (width x "
                    "height): paint it over one of the training pictures, at its size"
                )
            contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
            if not contours:
                raise DataError(f"{what} is empty: paint the region white on black")
            groups.append(tuple(contour[:, 0].astype(np.float64) for contour in contours))
        return tuple(groups)

    def _filled(self, shape: Shape, pose: Pose | None) -> Mask:
        top, left, height, width = self.frame.window
        scale = np.array([self._size[1] / width, self._size[0] / height])
        canvas = np.zeros(self._size, np.uint8)
        for group in shape:
            corners = [((self._moved(curve, pose) - [left, top] + 0.5) * scale - 0.5) * 2**SHIFT for curve in group]
            rounded = [np.clip(np.round(curve), -FARTHEST, FARTHEST).astype(np.int32) for curve in corners]
            cv2.fillPoly(canvas, rounded, 1, shift=SHIFT)
        return canvas.astype(bool)

    def _moved(self, curve: Curve, pose: Pose | None) -> Curve:
        """Where the part has taken it from where it was in the reference's frame."""
        if pose is None or self.frame.reference is None:
            return curve
        turn = np.radians(pose.degrees)
        rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
        return np.asarray((curve - self.frame.reference.centre) @ rotation.T + pose.centre)

    @property
    def _window(self) -> str:
        top, left, height, width = self.frame.window
        return (
            f"rows {top} to {top + height} and columns {left} to {left + width} of frames of {self.frame.sensor[0]} x "
            f"{self.frame.sensor[1]} pixels"
        )


def limit_map(config: FrameConfig, named: NDArray[np.uint8] | None) -> NDArray[np.float32] | None:
    """(h, w) factor on the decision limit; None for 1 everywhere. named: as in `Places`."""
    factors = np.array([1.0, *(_factor(region) for region in config.regions)], np.float32)
    return None if named is None or (factors == 1).all() else factors[named]


def _factor(region: RegionConfig) -> float:
    return region.limit if isinstance(region.limit, float) else 1.0
