"""Whether the network sees the smallest defect that somebody names, and the size and tiles with which it would."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, cast

import numpy as np
from numpy.typing import NDArray

from trd.config import FrameConfig
from trd.errors import DataError
from trd.preprocess.frame import STRIDE
from trd.preprocess.view_frames import AnyFrame, ViewFrames

ENOUGH = 8.0  # pixels of the network's input across a defect: two cells of the finest features; reasoned, not tried
WHOLE = 1.5  # times as many pixels are still looked at as a whole; more in tiles

Unit = Literal["mm", "px"]


@dataclass(frozen=True)
class DefectSize:
    """Across the smallest defect that must be seen: millimetres, or pixels of the sensor's frame."""

    value: float
    unit: Unit

    @classmethod
    def of(cls, text: str) -> DefectSize:
        """Of "0.5 mm" or "12 px". Raises DataError."""
        match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(mm|px)\s*", text)
        if match is None or not float(match[1]):
            raise DataError(f"'{text}' is no size of a defect: give millimetres or pixels, such as 0.5mm or 12px")
        return cls(float(match[1]), cast(Unit, match[2]))

    def __str__(self) -> str:
        return f"{self.value:g} {'mm' if self.unit == 'mm' else 'pixels'}"


@dataclass(frozen=True)
class Resolution:
    """fact: how large the defect is for the network. warning: what to set, or that the sensor is too coarse; "" where
    it is large enough."""

    fact: str
    warning: str = ""


def resolution(defect: DefectSize, config: FrameConfig, frame: AnyFrame, pitch: float | None) -> Resolution:
    """frame: of parts with several views the first is judged. pitch: millimetres per pixel of the sensor's frame, None
    without 3D. Raises DataError for millimetres then."""
    frame = frame.first if isinstance(frame, ViewFrames) else frame
    if defect.unit == "mm" and pitch is None:
        raise DataError(f"a defect of {defect} needs a point cloud to be told in pixels: give pixels of the picture")
    pixels = defect.value / pitch if defect.unit == "mm" and pitch else defect.value
    window, side = max(frame.window[2:]), max(frame.size)
    seen = pixels * side / window
    own = f" ({pixels:.1f} pixels of the frame)" if defect.unit == "mm" else ""
    fact = f"{defect}{own} is {seen:.1f} pixels across for the network, {ENOUGH:g} are enough"
    if seen >= ENOUGH:
        return Resolution(fact)
    finest = -(-window // STRIDE) * STRIDE  # more pixels than the sensor's show nothing more
    if pixels < ENOUGH / 2 or finest <= side:
        return Resolution(fact, f"a defect of {defect}{own} is too small for this sensor: bring it nearer to the part")
    needed = min(-(-int(np.ceil(side * ENOUGH / seen)) // STRIDE) * STRIDE, finest)
    if needed <= WHOLE * side:
        return Resolution(fact, f"for a defect of {defect} take --set frame.size={needed}")
    tile = config.tile or side
    return Resolution(fact, f"for a defect of {defect} take tiles: --set frame.size={needed} --set frame.tile={tile}")


def pixel_pitch(clouds: Sequence[NDArray[np.float32]]) -> float | None:
    """Median millimetres from a measured point to its neighbour in the row, of (H, W, 3) clouds in metres."""
    steps = []
    for xyz in clouds:
        measured = (xyz[:, 1:, 2] != 0) & (xyz[:, :-1, 2] != 0)
        steps.append(np.abs(np.diff(xyz[..., 0], axis=1))[measured])
    distances = np.concatenate(steps) if steps else np.zeros(0)
    return 1000 * float(np.median(distances)) if len(distances) else None
