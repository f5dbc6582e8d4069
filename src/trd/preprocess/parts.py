"""Prepared samples in memory, and batches of them as arrays."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from threading import Lock
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from trd.preprocess.tiles import Tiles
from trd.types import PreparedSample

Item = TypeVar("Item")

CACHE_LIMIT = 2 * 2**30  # bytes of prepared samples kept; further ones are read or prepared anew in every epoch


class PreparedParts:
    """Samples prepared on first use and kept in memory up to `limit` bytes; `prepare` may have a cache behind it.

    Threads may share it.
    """

    def __init__(self, count: int, prepare: Callable[[int], PreparedSample], limit: int = CACHE_LIMIT) -> None:
        self.count = count
        self._prepare = prepare
        self._limit = limit
        self._cached: dict[int, PreparedSample] = {}
        self._bytes = 0
        self._lock = Lock()  # over what is kept; preparing goes on in parallel

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[PreparedSample]:
        return (self[index] for index in range(self.count))

    def __getitem__(self, index: int) -> PreparedSample:
        if index in self._cached:
            return self._cached[index]
        sample = self._prepare(index)
        size = sum(image.nbytes for image in sample.images.values())
        with self._lock:
            if index not in self._cached and self._bytes + size <= self._limit:
                self._cached[index] = sample
                self._bytes += size
        return sample

    def chosen(self, indices: Sequence[int]) -> PreparedParts:
        """Some of them, in the given order; what is kept is shared."""
        return PreparedParts(len(indices), lambda index: self[indices[index]], limit=0)

    def and_also(self, others: PreparedParts) -> PreparedParts:
        """These, then the others; what is kept is shared."""
        first = len(self)
        return PreparedParts(
            first + len(others), lambda index: self[index] if index < first else others[index - first], limit=0
        )


def network_parts(parts: PreparedParts, tiles: Tiles | None, image: int | None = None) -> PreparedParts:
    """What the network sees at once: the parts, or every tile of them that shows something of what is scored.

    image: of which the tiles are, of several that lie one above the other; None for all.
    """
    if tiles is None:
        return parts
    kept = [
        (index, tile)
        for index, part in enumerate(parts)
        for tile in range(len(tiles.places))
        if image in (None, tile // tiles.per_image)
        if part.region is None or tiles.cut_map(part.region, tile).any()
    ]

    def tile_part(position: int) -> PreparedSample:
        index, tile = kept[position]
        part = parts[index]
        region = None if part.region is None else tiles.cut_map(part.region, tile)
        images = {name: np.ascontiguousarray(tiles.cut(image, tile)) for name, image in part.images.items()}
        return PreparedSample(f"{part.id}, tile {tile}", part.defect, images, region, None, tiles.tile)

    return PreparedParts(len(kept), tile_part, limit=0)  # the parts are kept


def at_map_size(part: PreparedSample, tiles: Tiles | None) -> PreparedSample:
    """The part with images that its maps and region lie over; itself without tiles."""
    if tiles is None:
        return part
    return replace(part, images={name: tiles.shrunk(image) for name, image in part.images.items()})


def parts_at_map_size(parts: PreparedParts, tiles: Tiles | None) -> PreparedParts:
    """`at_map_size` of all."""
    return PreparedParts(len(parts), lambda index: at_map_size(parts[index], tiles), limit=0)


def stacked_images(samples: Sequence[PreparedSample]) -> dict[str, NDArray[np.float32]]:
    """modality -> (B, 3, h, w) float32 in [0, 1], of samples of one size."""
    return {name: np.stack([sample.images[name] for sample in samples]) for name in samples[0].images}


def batches(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """Consecutive lists of `size` items, the last one perhaps shorter; at most one is held.

    Where the source of items fails, those before come as a shorter list first, then its error.
    """
    batch: list[Item] = []
    try:
        for item in items:
            batch.append(item)
            if len(batch) == size:
                yield batch
                batch = []
    except Exception:
        if batch:
            yield batch
        raise
    if batch:
        yield batch
