"""Where a part lies in the picture's plane, compared with one training part: position and angle.

The position is the middle of what its outline encloses. The angle is the one at which the part around that middle,
unrolled by angle and distance, correlates best with the reference part: by Fourier transforms for all angles at once.
The outline counts most; heights and grey values inside it tell apart what has the same outline at two angles. A part
that looks the same at two angles has no certain one; then the pose says so.
"""

from __future__ import annotations

import base64
import math
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]
Point = tuple[float, float]

ANGLES, RINGS = 360, 32  # of the unrolled part: a degree is refined to a tenth of it
LAYERS = (2, 3)  # outline and heights, with or without grey values
INSIDE = 0.5  # weight of heights and grey values beside the outline
REACH = 1.1  # radius that is unrolled, in the outline's greatest distance from its middle
LONGEST = 512  # pixels of the longer side: of larger frames every n-th
GAP = 0.03  # of the root of the part's area: half the width of gaps that are closed
PIECE = 0.1  # of the largest piece's area: parts may show in several
BRIGHT = 0.98  # quantile of heights and grey values that counts as their range
FEWEST = 50  # pixels of a part
APART = 15.0  # degrees from the best angle, from which on another one is another pose
LIKENESS = 0.4  # least correlation at the best angle
RIVAL = 0.93  # of that, from which on the correlation at another angle makes the pose uncertain
DOUBT = "the part's pose is uncertain"


@dataclass(frozen=True)
class Pose:
    """centre: (x, y) of the part in pixels of the training frames. degrees: that the part is turned by from the
    reference, from the x axis towards the y axis, -180 to 180. note: why it is uncertain; "" where it is not."""

    centre: Point
    degrees: float
    note: str = ""


@dataclass(frozen=True)
class PartView:
    """What the cloud and the picture show of a part. layers: (H, W) each, of the part alone, 0 off it: its outline
    filled, 1; heights and, where there are any, grey values, of a range of about 1 around their mean. middle: of the
    outline, (x, y) in these. centre: the same in pixels of the training frames, `scale` of which are one pixel of the
    layers. reach: of the outline from there, in pixels of the training frames."""

    layers: tuple[Floats, ...]
    middle: Point
    centre: Point
    scale: float
    reach: float

    @classmethod
    def of(cls, heights: Floats, outline: Mask, grey: Floats | None, scale: float) -> PartView | None:
        """heights: (H, W) over the support. outline: (H, W) pixels of the part. grey: (H, W), None without a picture.
        All of the whole frame. None where too little is seen."""
        step = -(-max(outline.shape) // LONGEST)
        heights, outline = heights[::step, ::step], outline[::step, ::step]
        grey = None if grey is None else grey[::step, ::step]
        contours, _ = cv2.findContours(_without_gaps(outline), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        areas = [cv2.contourArea(contour) for contour in contours]
        if not areas or max(areas) < FEWEST:
            return None
        pieces = [contour for contour, area in zip(contours, areas, strict=True) if area >= PIECE * max(areas)]
        filled = cv2.drawContours(np.zeros(outline.shape, np.uint8), pieces, -1, 1, cv2.FILLED)
        moments = cv2.moments(filled, binaryImage=True)
        x, y = moments["m10"] / moments["m00"], moments["m01"] / moments["m00"]
        inside = filled.astype(bool)
        layers = [filled.astype(np.float32), _relief(heights, inside & outline)]
        if grey is not None:
            layers.append(_relief(grey, inside))
        centre = ((step * x + 0.5) * scale - 0.5, (step * y + 0.5) * scale - 0.5)
        reach = float(np.hypot(*(np.concatenate(pieces)[:, 0] - [x, y]).T).max()) * step * scale
        return cls(tuple(layers), (x, y), centre, step * scale, reach)

    def unrolled(self, radius: float, layers: int) -> Floats:
        """(ANGLES, RINGS * layers), -1 to 1, around the middle up to `radius` pixels of the training frames; row 0 is
        along the x axis, the next ones go towards the y axis. Layers that there are not are 0."""
        native = radius / self.scale
        flags = cv2.INTER_LINEAR | cv2.WARP_POLAR_LINEAR | cv2.WARP_FILL_OUTLIERS
        sigma = max(1.0, native / RINGS)  # rings are wider than pixels of large frames, and pixels make steps of a rim
        strips = [
            cv2.warpPolar(cv2.GaussianBlur(layer, (0, 0), sigma), (RINGS, ANGLES), self.middle, native, flags)
            for layer in self.layers[:layers]
        ]
        strips += [np.zeros((ANGLES, RINGS), np.float32)] * (layers - len(strips))
        return np.asarray(np.clip(np.concatenate(strips, axis=1), -1, 1), np.float32)


@dataclass(frozen=True)
class PoseReference:
    """A training part: its id; its centre and the radius that is unrolled, in pixels of the training frames; and what
    `PartView.unrolled` gives of it, as text."""

    part: str
    centre: Point
    radius: float
    unrolled: str

    @classmethod
    def of(cls, part: str, view: PartView) -> PoseReference:
        radius = REACH * view.reach
        levels = np.round(view.unrolled(radius, len(view.layers)) * 127).astype(np.int8)
        return cls(part, view.centre, radius, base64.b64encode(zlib.compress(levels.tobytes(), 9)).decode())

    def pose(self, view: PartView) -> Pose:
        """Of another part."""
        reference = self._levels()
        likeness = _likeness(view.unrolled(self.radius, reference.shape[1] // RINGS), reference)
        best = int(likeness.argmax())
        before, there, after = (float(likeness[(best + step) % ANGLES]) for step in (-1, 0, 1))
        curvature = before - 2 * there + after
        shift = 0.0 if curvature == 0 else 0.5 * (before - after) / curvature
        degrees = (best + shift) * 360 / ANGLES
        return Pose(view.centre, (degrees + 180) % 360 - 180, _doubt(likeness, best))

    def _levels(self) -> Floats:
        most = ANGLES * RINGS * LAYERS[-1]
        levels = np.frombuffer(zlib.decompressobj().decompress(base64.b64decode(self.unrolled), most), np.int8)
        if levels.size not in [ANGLES * RINGS * layers for layers in LAYERS]:
            raise ValueError(f"the reference part has {levels.size} values")
        return levels.reshape(ANGLES, -1).astype(np.float32) / np.float32(127)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> PoseReference:
        """Raises KeyError, TypeError or ValueError for what `to_json` does not write."""
        x, y = (float(value) for value in values["centre"])
        reference = cls(str(values["part"]), (x, y), float(values["radius"]), str(values["unrolled"]))
        if not (np.isfinite([x, y, reference.radius]).all() and reference.radius > 0):
            raise ValueError("the reference part's place is no number")
        try:
            reference._levels()
        except zlib.error as error:
            raise ValueError(f"the reference part is damaged: {error}") from error
        return reference


def _without_gaps(outline: Mask) -> NDArray[np.uint8]:
    """(H, W) 0 or 1; what lies nearly beside each other is one piece: where a step throws a shadow, nothing is
    measured."""
    side = 2 * max(1, round(GAP * math.sqrt(np.count_nonzero(outline)))) + 1
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    return np.asarray(cv2.morphologyEx(outline.astype(np.uint8), cv2.MORPH_CLOSE, disc), np.uint8)


def _relief(values: Floats, inside: Mask) -> Floats:
    """(H, W) values from their mean inside, in units of their range; 0 elsewhere."""
    if not inside.any():
        return np.zeros(values.shape, np.float32)
    own = np.maximum(values[inside], 0)
    top = float(np.quantile(own, BRIGHT)) or 1.0
    relief = np.zeros(values.shape, np.float32)
    own = np.minimum(own / top, 1)
    relief[inside] = own - own.mean()
    return relief


def _likeness(part: Floats, reference: Floats) -> NDArray[np.float64]:
    """(ANGLES,) correlation of the part with the reference turned by each angle, -1 to 1; rings count by their area.

    What a ring has in the mean tells no angle and is left out.
    """
    layers = reference.shape[1] // RINGS
    weights = np.concatenate([np.sqrt(np.arange(RINGS) + 0.5) * (INSIDE if layer else 1) for layer in range(layers)])
    first, second = ((values - values.mean(axis=0)) * weights for values in (part, reference))
    products = np.fft.rfft(first, axis=0) * np.conj(np.fft.rfft(second, axis=0))
    size = np.linalg.norm(first) * np.linalg.norm(second)
    return np.asarray(np.fft.irfft(products.sum(axis=1), ANGLES) / max(float(size), 1e-12))


def _doubt(likeness: NDArray[np.float64], best: int) -> str:
    """Why the pose is uncertain; "" where it is not."""
    if likeness[best] < LIKENESS:
        return f"{DOUBT}: the part resembles the reference part by {likeness[best]:.2f} of 1"
    turns = (np.arange(ANGLES) - best) % ANGLES * 360 / ANGLES
    peaks = (likeness >= np.roll(likeness, 1)) & (likeness >= np.roll(likeness, -1))
    rivals = np.where(peaks & (np.minimum(turns, 360 - turns) > APART), likeness, -np.inf)
    other = int(rivals.argmax())
    if rivals[other] > RIVAL * likeness[best]:
        return f"{DOUBT}: the part looks about the same turned by {turns[other]:.0f} degrees"
    return ""
