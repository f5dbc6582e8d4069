"""An engine for tiles, as one for the image that they are of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from trd.engines.base import Engine, Maps
from trd.preprocess.tiles import Tiles
from trd.types import VIEW_SEPARATOR, plain_sources

BATCH = 8  # tiles at once, so that the memory does not grow with the image


class TiledEngine:
    """`Engine` of images that `tiles` are cut from; `engine` computes the tiles' maps.

    views: where it has networks of its own for every view, their names: it takes and gives "front/rgb". Else ().
    """

    def __init__(self, engine: Engine, tiles: Tiles, views: Sequence[str] = ()) -> None:
        self.engine, self.tiles, self.views = engine, tiles, views
        self.device, self.precision = engine.device, engine.precision
        self.form = f"{engine.form}, {len(tiles.places)} tiles"

    def raw_maps(self, images: Mapping[str, NDArray[np.float32]]) -> Maps:
        parts = [self._of_part({name: stack[i] for name, stack in images.items()}) for i in range(_count(images))]
        return {name: np.stack([maps[name] for maps in parts]) for name in parts[0]}

    def on_demand(self, values: Mapping[str, NDArray[np.float32]]) -> dict[str, NDArray[np.float32]]:
        return {}  # what has them sees a part as a whole

    def _of_part(self, images: Mapping[str, NDArray[np.float32]]) -> dict[str, NDArray[np.float32]]:
        count = self.tiles.per_image if self.views else len(self.tiles.places)
        tile_maps: dict[str, list[NDArray[np.float32]]] = {}
        for first in range(0, count, BATCH):
            for name, maps in self.engine.raw_maps(
                self._stacks(images, range(first, min(first + BATCH, count)))
            ).items():
                tile_maps.setdefault(name, []).extend(maps)
        if self.views:  # the tiles of one view after the other, as they lie in the image
            branches = plain_sources(tile_maps)
            tile_maps = {b: [m for v in self.views for m in tile_maps[f"{v}{VIEW_SEPARATOR}{b}"]] for b in branches}
        return self.tiles.joined(tile_maps)

    def _stacks(self, images: Mapping[str, NDArray[np.float32]], indices: range) -> dict[str, NDArray[np.float32]]:
        """Tiles of the image; of every view's, under a name of its own, where views have networks of their own."""
        if not self.views:
            return {name: np.stack([self.tiles.cut(image, i) for i in indices]) for name, image in images.items()}
        return {
            f"{view}{VIEW_SEPARATOR}{name}": np.stack(
                [self.tiles.cut(image, number * self.tiles.per_image + i) for i in indices]
            )
            for number, view in enumerate(self.views)
            for name, image in images.items()
        }


def tiled(engine: Engine, tiles: Tiles | None, views: Sequence[str] = ()) -> Engine:
    """The engine itself where there are no tiles."""
    return engine if tiles is None else TiledEngine(engine, tiles, views)


def _count(images: Mapping[str, NDArray[np.float32]]) -> int:
    return len(next(iter(images.values())))
