"""Which parts make a batch: the same again after a resume, and shared between processes."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from torch.utils.data import BatchSampler, Sampler


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
