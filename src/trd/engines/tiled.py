"""An engine for tiles, as one for the image that they are of."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from trd.engines.base import Engine, Maps
from trd.preprocess.tiles import Tiles

BATCH = 8  # tiles at once, so that the memory does not grow with the image


class TiledEngine:
    """`Engine` of images that `tiles` are cut from; `engine` computes the tiles' maps."""

    def __init__(self, engine: Engine, tiles: Tiles) -> None:
        self.engine, self.tiles = engine, tiles
        self.device, self.precision = engine.device, engine.precision
        self.form = f"{engine.form}, {len(tiles.places)} tiles"

    def raw_maps(self, images: Mapping[str, NDArray[np.float32]]) -> Maps:
        parts = [self._of_part({name: stack[i] for name, stack in images.items()}) for i in range(_count(images))]
        return {name: np.stack([maps[name] for maps in parts]) for name in parts[0]}

    def _of_part(self, images: Mapping[str, NDArray[np.float32]]) -> dict[str, NDArray[np.float32]]:
        tile_maps: dict[str, list[NDArray[np.float32]]] = {}
        for first in range(0, len(self.tiles.places), BATCH):
            indices = range(first, min(first + BATCH, len(self.tiles.places)))
            stacks = {name: np.stack([self.tiles.cut(im, i) for i in indices]) for name, im in images.items()}
            for name, maps in self.engine.raw_maps(stacks).items():
                tile_maps.setdefault(name, []).extend(maps)
        return self.tiles.joined(tile_maps)


def tiled(engine: Engine, tiles: Tiles | None) -> Engine:
    """The engine itself where there are no tiles."""
    return engine if tiles is None else TiledEngine(engine, tiles)


def _count(images: Mapping[str, NDArray[np.float32]]) -> int:
    return len(next(iter(images.values())))
