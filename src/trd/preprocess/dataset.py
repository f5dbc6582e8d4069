"""Prepared samples in memory, batches of tensors, and augmentation that repeats exactly after a resume."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from threading import Lock
from typing import NamedTuple, TypeVar

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import BatchSampler, Dataset, Sampler

from trd.types import PreparedSample

Item = TypeVar("Item")

CACHE_LIMIT = 2 * 2**30  # bytes of prepared samples kept; further ones are read or prepared anew in every epoch


class PreparedDataset(Dataset[PreparedSample]):
    """Samples prepared on first use and kept in memory up to `limit` bytes; `prepare` may have a cache behind it.

    Threads may share it.
    """

    def __init__(self, count: int, prepare: Callable[[int], PreparedSample], limit: int = CACHE_LIMIT) -> None:
        self.count = count
        self._prepare = prepare
        self._limit = limit
        self._kept: dict[int, PreparedSample] = {}
        self._bytes = 0
        self._lock = Lock()  # over what is kept; preparing goes on in parallel

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[PreparedSample]:
        return (self[index] for index in range(self.count))

    def __getitem__(self, index: int) -> PreparedSample:
        if index in self._kept:
            return self._kept[index]
        sample = self._prepare(index)
        size = sum(image.nbytes for image in sample.images.values())
        with self._lock:
            if index not in self._kept and self._bytes + size <= self._limit:
                self._kept[index] = sample
                self._bytes += size
        return sample


class EpochShuffle(Sampler[int]):
    """A permutation that depends on seed and epoch alone, so that epoch 7 is the same after a resume."""

    def __init__(self, count: int, seed: int) -> None:
        self.count = count
        self.seed = seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Lightning calls this before every epoch, also the first one after a resume."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[int]:
        order = np.random.default_rng([self.seed, self.epoch]).permutation(self.count)
        return iter(order.tolist())


class ShareOfBatches(BatchSampler):
    """Of each batch of `size`, the consecutive part that one of several processes computes; never an empty one.

    The last batch may be shorter; with fewer samples than processes, those left over repeat its first one.
    """

    def __init__(self, sampler: Sampler[int], size: int, process: int = 0, processes: int = 1) -> None:
        super().__init__(sampler, size, drop_last=False)
        self.process = process
        self.processes = processes

    def __iter__(self) -> Iterator[list[int]]:
        for batch in super().__iter__():
            begin, end = (len(batch) * place // self.processes for place in (self.process, self.process + 1))
            yield batch[begin:end] or batch[:1]


def stacked_images(samples: Sequence[PreparedSample]) -> dict[str, Tensor]:
    """modality -> (B, 3, H, W) float32 in [0, 1], of samples of one size."""
    return {name: torch.from_numpy(np.stack([s.images[name] for s in samples])) for name in samples[0].images}


def stacked_regions(samples: Sequence[PreparedSample], device: torch.device | str = "cpu") -> Tensor | None:
    """(B, h, w) bool of scored pixels, None where every sample is scored whole."""
    if all(sample.region is None for sample in samples):
        return None
    whole = np.ones(next(iter(samples[0].images.values())).shape[1:], bool)
    return torch.from_numpy(np.stack([whole if s.region is None else s.region for s in samples])).to(device)


class View(NamedTuple):
    """One of the eight ways to lay a part down: quarter turns (0 to 3, counterclockwise), then perhaps mirrored."""

    turns: int
    mirrored: bool


UPRIGHT = View(0, False)


def random_views(count: int, square: bool, rng: np.random.Generator) -> list[View]:
    """One view for each of `count` parts; quarter turns would change the shape of images that are not square."""
    drawn = [View(int(rng.integers(4)), bool(rng.integers(2))) for _ in range(count)]
    return drawn if square else [View(turns // 2 * 2, mirrored) for turns, mirrored in drawn]


def seen(images: Mapping[str, Tensor], vector_maps: Collection[str], view: View) -> dict[str, Tensor]:
    """modality -> (3, H, W) image of one part as it looks in a view.

    vector_maps: modalities whose first two channels are x and y components stored as (n + 1) / 2 in image axes (x
    right, y down): they turn with the picture.
    """
    results = {}
    for name, image in images.items():
        result = torch.rot90(image, view.turns, (1, 2))
        if view.mirrored:
            result = result.flip(2)
        results[name] = _turn_vectors(result, view) if name in vector_maps else result
    return results


def _turn_vectors(image: Tensor, view: View) -> Tensor:
    x, y, z = image
    empty = (image == 0).all(dim=0)  # the published normals image is 0 off the part
    for _ in range(view.turns):  # rot90 moves the right edge to the top: (x, y) -> (y, -x) with y down
        x, y = y, 1 - x
    turned = torch.stack([1 - x if view.mirrored else x, y, z])
    return torch.where(empty, torch.zeros_like(turned), turned)


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
