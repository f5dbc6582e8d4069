"""An image that is larger than the network's input, as overlapping tiles, and the tiles' maps as one again."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

OVERLAP = 0.25  # of a tile's side, but for rounding to GRID: chosen by reasoning, so that no edge has weight
MAP_SIDE = 1024  # a map with a longer side is kept at half or a quarter of the image's resolution
COARSEST = 4  # pixels of the image per pixel of the map: the stride of the finest features
GRID = 4  # places of tiles are multiples of it

Floats = NDArray[np.float32]
Place = tuple[int, int]


@dataclass(frozen=True)
class Tiles:
    """size: (height, width) of an image. tile: (height, width) of a tile, at most as large. images: that many images
    lie one above the other, and none of their tiles reaches into the next."""

    size: tuple[int, int]
    tile: tuple[int, int]
    images: int = 1

    @property
    def stride(self) -> int:
        """Pixels of the image per pixel of the map."""
        side = max(self.size)
        return next((s for s in (1, 2) if side <= s * MAP_SIDE), COARSEST)

    @property
    def map_size(self) -> tuple[int, int]:
        """(height, width) of the map of all images."""
        return self.images * self.size[0] // self.stride, self.size[1] // self.stride

    @cached_property
    def places(self) -> tuple[Place, ...]:
        """Row and column of each tile's first pixel, image by image."""
        rows, columns = (_starts(*sides) for sides in zip(self.size, self.tile, strict=True))
        return tuple(
            (image * self.size[0] + row, column) for image in range(self.images) for row in rows for column in columns
        )

    @property
    def per_image(self) -> int:
        return len(self.places) // self.images

    def cut(self, array: NDArray[Any], index: int) -> NDArray[Any]:
        """Tile `index` of a (..., H, W) array."""
        top, left = self.places[index]
        return array[..., top : top + self.tile[0], left : left + self.tile[1]]

    def cut_map(self, values: NDArray[Any], index: int) -> NDArray[Any]:
        """Tile `index` of an array of `map_size`, every pixel repeated to the image's resolution."""
        (top, left), (height, width) = self.places[index], self.tile
        s = self.stride
        part = values[..., top // s : (top + height) // s, left // s : (left + width) // s]
        return part if s == 1 else part.repeat(s, axis=-2).repeat(s, axis=-1)

    def shrunk(self, values: Floats) -> Floats:
        """Means over the pixels of a (..., H, W) array that a pixel of the map stands for."""
        if self.stride == 1:
            return values
        *rest, height, width = values.shape
        blocks = values.reshape(*rest, height // self.stride, self.stride, width // self.stride, self.stride)
        return np.asarray(blocks.mean(axis=(-3, -1), dtype=np.float32), np.float32)

    def joined(self, maps: Mapping[str, Sequence[Floats]]) -> dict[str, Floats]:
        """name -> (h, w) maps of all tiles, to name -> one of `map_size`: their mean where they overlap, each with the
        more weight the farther its edge is, so that no edge shows."""
        return {name: self._joined(tile_maps) for name, tile_maps in maps.items()}

    def _joined(self, tile_maps: Sequence[Floats]) -> Floats:
        whole = np.zeros(self.map_size, np.float32)
        for (top, left), weights, values in zip(self.places, self._weights, tile_maps, strict=True):
            row, column = top // self.stride, left // self.stride
            height, width = weights.shape
            whole[row : row + height, column : column + width] += weights * self.shrunk(values)
        return whole

    @cached_property
    def _weights(self) -> tuple[Floats, ...]:
        """Of each tile, at the map's resolution; they add up to 1 at every pixel."""
        ramps = [_ramp(side // self.stride) for side in self.tile]
        single = np.outer(*ramps).astype(np.float32)
        total = np.zeros(self.map_size, np.float32)
        slices = []
        for top, left in self.places:
            row, column = top // self.stride, left // self.stride
            slices.append((slice(row, row + single.shape[0]), slice(column, column + single.shape[1])))
            total[slices[-1]] += single
        return tuple(single / total[place] for place in slices)


def _starts(side: int, tile: int) -> list[int]:
    """Of as few tiles as overlap by OVERLAP, evenly over the side."""
    if tile >= side:
        return [0]
    count = math.ceil((side - OVERLAP * tile) / ((1 - OVERLAP) * tile))
    return [round(index * (side - tile) / (count - 1) / GRID) * GRID for index in range(count)]


def _ramp(side: int) -> NDArray[np.float64]:
    """Rises from the edge to 1 over the overlap."""
    distance = np.minimum(np.arange(side), np.arange(side)[::-1]) + 0.5
    return np.minimum(distance / (OVERLAP * side), 1.0)
