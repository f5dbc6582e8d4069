"""Which window of the sensor's frame the network sees, and at what size: fitted once on the training samples."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from trd.config import FrameConfig
from trd.errors import DataError
from trd.preprocess.foreground import border_plane, part_foreground
from trd.preprocess.image import resize_map

FARTHEST = 20.0  # metres: whoever measures parts from farther away has most likely given millimetres
CANVAS = 1024  # pixels of the longer side of `Frame.canvas`, or as many as the network's input has if that is larger
STRIDE = 32  # the network's coarsest stride: sides are multiples of it


@dataclass(frozen=True)
class Frame:
    """Window (top, left, height, width) in pixels of a `source` = (height, width) frame, resized to `size`.

    A sample whose frame has another size than the training samples' gets the window in proportion.
    """

    source: tuple[int, int]
    window: tuple[int, int, int, int]
    size: tuple[int, int]

    def window_in(self, shape: tuple[int, int]) -> tuple[slice, slice]:
        """The window as row and column slices of a (height, width) frame."""
        rows, columns = shape[0] / self.source[0], shape[1] / self.source[1]
        top, left, height, width = self.window
        return (
            slice(round(top * rows), round((top + height) * rows)),
            slice(round(left * columns), round((left + width) * columns)),
        )

    def crop(self, array: NDArray[Any]) -> NDArray[Any]:
        """The window of an (H, W, ...) array."""
        rows, columns = self.window_in((array.shape[0], array.shape[1]))
        return array[rows, columns]

    def to_source(self, values: NDArray[np.float32], shape: tuple[int, int], outside: float) -> NDArray[np.float32]:
        """A map of the network's size back in a (height, width) frame; pixels outside the window get `outside`."""
        rows, columns = self.window_in(shape)
        full = np.full(shape, outside, np.float32)
        full[rows, columns] = resize_map(values, (rows.stop - rows.start, columns.stop - columns.start))
        return full

    @property
    def canvas(self) -> tuple[int, int]:
        """(height, width) of the whole frame at the network's scale: where maps and ground truth are compared.

        At a smaller scale where the longer side would be over CANVAS: a small part in a frame of 20 megapixels.
        """
        (height, width), scale = self._whole, self._canvas_scale
        return (height, width) if scale == 1 else (max(1, round(height * scale)), max(1, round(width * scale)))

    @property
    def _whole(self) -> tuple[int, int]:
        """(height, width) of the whole frame at the network's scale."""
        (height, width), (rows, columns) = self.source, self.size
        return round(height * rows / self.window[2]), round(width * columns / self.window[3])

    @property
    def _canvas_scale(self) -> float:
        return min(1.0, max(CANVAS, *self.size) / max(self._whole))

    def to_canvas(self, maps: NDArray[np.float32], outside: float) -> NDArray[np.float32]:
        """(..., h, w) maps of the network's size placed in the canvas; pixels outside the window get `outside`."""
        (height, width), (rows, columns) = self.canvas, self.size
        if (scale := self._canvas_scale) < 1:
            rows, columns = max(1, round(rows * scale)), max(1, round(columns * scale))
            maps = _shrunk(maps, (rows, columns))
        top = min(round(self.window[0] * rows / self.window[2]), height - rows)
        left = min(round(self.window[1] * columns / self.window[3]), width - columns)
        full = np.full((*maps.shape[:-2], height, width), outside, np.float32)
        full[..., top : top + rows, left : left + columns] = maps
        return full

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Frame:
        return cls(*(tuple(values[key]) for key in ("source", "window", "size")))


def _shrunk(maps: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float32]:
    """(..., h, w) maps, averaged to a smaller `size`."""
    flat = maps.reshape(-1, *maps.shape[-2:])
    small = [cv2.resize(one, (size[1], size[0]), interpolation=cv2.INTER_AREA) for one in flat]
    return np.stack(small).astype(np.float32).reshape(*maps.shape[:-2], *size)


def fit_frame(config: FrameConfig, shape: tuple[int, int], clouds: Iterable[NDArray[np.float32]]) -> Frame:
    """The frame for samples of `shape` = (height, width).

    clouds: the training samples' organised clouds, read only with crop = "part"; the window is the union of their
    parts plus the margin. Raises DataError when no cloud shows a part on a support plane.
    """
    window = (0, 0, *shape)
    if config.crop == "part":
        window = _part_window(shape, clouds, config.margin)
    if config.aspect == "square":
        return Frame(shape, window, (config.size, config.size))
    height, width = window[2:]
    scale = config.size / max(height, width)
    rows, columns = (max(STRIDE, round(side * scale / STRIDE) * STRIDE) for side in (height, width))
    return Frame(shape, window, (rows, columns))


def _part_window(
    shape: tuple[int, int], clouds: Iterable[NDArray[np.float32]], margin: float
) -> tuple[int, int, int, int]:
    seen = np.zeros(shape, bool)
    depth = 0.0  # of the first cloud with any
    for cloud in clouds:
        measured = cloud[..., 2][cloud[..., 2] != 0] if not depth else ()
        if len(measured):
            depth = float(np.median(np.abs(measured)))
        part = part_foreground(cloud, border_plane(cloud))
        if part is not None:
            seen |= part
    if not seen.any():
        remedy = "set frame.crop=none and scoring.region=frame"
        if depth > FARTHEST:
            remedy = (
                f"their points lie {depth:.0f} away in the median, where metres are expected: divide millimetres by "
                "1000, or set depth_scale in camera.json"
            )
        raise DataError(
            "frame.crop = 'part': no training sample shows a part standing on a plane (the frame's border must be the "
            f"support); {remedy}"
        )
    rows, columns = np.flatnonzero(seen.any(axis=1)), np.flatnonzero(seen.any(axis=0))
    top, bottom, left, right = rows[0], rows[-1] + 1, columns[0], columns[-1] + 1
    border = round(margin * max(bottom - top, right - left))
    top, left = max(0, top - border), max(0, left - border)
    bottom, right = min(shape[0], bottom + border), min(shape[1], right + border)
    return int(top), int(left), int(bottom - top), int(right - left)
