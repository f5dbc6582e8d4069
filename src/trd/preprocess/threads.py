"""Preparation on several cores: its libraries compute outside the interpreter's lock, so threads do."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from typing import TypeVar

import torch

from trd.preprocess.dataset import batches

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_threads(function: Callable[[Item], Result], items: Iterable[Item], group: int = 8) -> Iterator[Result]:
    """`function` of each item, in order, computed by as many threads as PyTorch would use (OMP_NUM_THREADS).

    A group is finished before its first result is given away and the next one is begun when that is asked for: at most
    `group` results are held, and nothing runs beside what the caller does with them (a network would crawl). An item's
    error is raised in its place, after the results before it.
    """
    with ThreadPoolExecutor(torch.get_num_threads()) as pool:
        for together in batches(items, group):
            futures = [pool.submit(function, item) for item in together]
            wait(futures)
            for future in futures:
                yield future.result()
