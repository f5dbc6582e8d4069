"""The frames of a part's views as one frame: views, maps and canvases lie one above the other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from trd.preprocess.frame import Frame
from trd.preprocess.tiles import Tiles


@dataclass(frozen=True)
class ViewFrames:
    """What `Frame` is for one picture. views: name -> frame; their network's inputs have one size."""

    views: Mapping[str, Frame]

    @property
    def first(self) -> Frame:
        return next(iter(self.views.values()))

    @property
    def sensor(self) -> tuple[int, int]:
        """(height, width) of the training frames, one above the other."""
        return _above([frame.sensor for frame in self.views.values()])

    @property
    def window(self) -> tuple[int, int, int, int]:
        """All of it: each view has its own."""
        return (0, 0, *self.sensor)

    @property
    def size(self) -> tuple[int, int]:
        return _above([frame.size for frame in self.views.values()])

    @property
    def tiles(self) -> Tiles:
        """The views are tiles, where they have none of their own."""
        tile = self.first.tiles
        return Tiles(self.first.size, self.first.size if tile is None else tile.tile, len(self.views))

    @property
    def network_size(self) -> tuple[int, int]:
        return self.tiles.tile

    @property
    def map_size(self) -> tuple[int, int]:
        return self.tiles.map_size

    @property
    def canvas(self) -> tuple[int, int]:
        return _above([frame.canvas for frame in self.views.values()])

    @property
    def region(self) -> Literal["", "part", "frame"]:
        """Whether the part is scored, in one of the views at least, or the whole frame."""
        return "part" if any(frame.region == "part" for frame in self.views.values()) else self.first.region

    @property
    def cloud_scale(self) -> float:
        return self.first.cloud_scale

    @property
    def planes(self) -> dict[str, tuple[float, float, float, float]]:
        """The first view's."""
        return dict(self.first.planes)

    def window_in(self, shape: tuple[int, int]) -> tuple[slice, slice]:
        return slice(0, shape[0]), slice(0, shape[1])

    def crop(self, array: NDArray[Any]) -> NDArray[Any]:
        return array

    def shrunk(self, image: NDArray[np.float32]) -> NDArray[np.float32]:
        return self.tiles.shrunk(image)

    def places(self, shape: tuple[int, int]) -> dict[str, tuple[slice, slice]]:
        """view -> where it lies in a frame of all views of this (height, width)."""
        (height, width), top, placed = self.sensor, 0, {}
        for name, frame in self.views.items():
            bottom = top + frame.sensor[0]
            rows = slice(round(top * shape[0] / height), round(bottom * shape[0] / height))
            placed[name] = (rows, slice(0, max(1, round(frame.sensor[1] * shape[1] / width))))
            top = bottom
        return placed

    def parts(self, maps: NDArray[Any]) -> dict[str, NDArray[Any]]:
        """view -> its rows of (..., h, w) maps or images."""
        height = maps.shape[-2] // len(self.views)
        return {name: maps[..., i * height : (i + 1) * height, :] for i, name in enumerate(self.views)}

    def pixel(self, row: int, column: int, shape: tuple[int, int], size: tuple[int, int]) -> tuple[int, int]:
        """Row and column in a frame of `shape` that the middle of a pixel of a map of `size` falls on."""
        height = size[0] // len(self.views)
        name = list(self.views)[row // height]
        rows, columns = self.places(shape)[name]
        view_shape = (rows.stop - rows.start, columns.stop)
        down, across = self.views[name].pixel(row % height, column, view_shape, (height, size[1]))
        return rows.start + down, across

    def to_sensor(self, values: NDArray[np.float32], shape: tuple[int, int], outside: float) -> NDArray[np.float32]:
        full = np.full(shape, outside, np.float32)
        view_maps = self.parts(values)
        for name, (rows, columns) in self.places(shape).items():
            view_shape = (rows.stop - rows.start, columns.stop)
            full[rows, columns] = self.views[name].to_sensor(view_maps[name], view_shape, outside)
        return full

    def from_sensor(self, values: NDArray[Any]) -> NDArray[Any]:
        shape = (values.shape[0], values.shape[1])
        return np.concatenate(
            [self.views[name].from_sensor(values[place]) for name, place in self.places(shape).items()]
        )

    def to_canvas(self, maps: NDArray[np.float32], outside: float) -> NDArray[np.float32]:
        full = np.full((*maps.shape[:-2], *self.canvas), outside, np.float32)
        top = 0
        for name, view_maps in self.parts(maps).items():
            height, width = self.views[name].canvas
            full[..., top : top + height, :width] = self.views[name].to_canvas(view_maps, outside)
            top += height
        return full

    def to_json(self) -> dict[str, Any]:
        return {"views": {name: frame.to_json() for name, frame in self.views.items()}}


AnyFrame = Frame | ViewFrames


def frame_from_json(values: Mapping[str, Any]) -> AnyFrame:
    """Raises KeyError, TypeError or ValueError for what no version writes."""
    if "views" not in values:
        return Frame.from_json(values)
    frames = {str(name): Frame.from_json(frame) for name, frame in values["views"].items()}
    if len({(frame.size, frame.tile) for frame in frames.values()}) != 1:
        raise ValueError("frame: its views are of different sizes, or none")
    return ViewFrames(frames)


def _above(sizes: list[tuple[int, int]]) -> tuple[int, int]:
    return sum(height for height, _ in sizes), max(width for _, width in sizes)
